# threads.py FOLDER...: the mails of each folder as a mail program shows them, by the algorithm of Jamie Zawinski that
# RFC 5256 (REFERENCES) has too, without its last part, which looks at subjects. A line for each thread, in the order of
# its first mail: its mails as "PROXY/SERVER:event", in the order of their arrival.
import email, os, re, sys


class Container:
    def __init__(self):
        self.parent, self.children, self.mail = None, [], None

    def holds(self, other):
        while other and other is not self:
            other = other.parent
        return bool(other)

    def adopt(self, child):
        if child.parent or child.holds(self):
            return
        child.parent = self
        self.children.append(child)

    def mails(self):
        found = [self.mail] if self.mail else []
        for child in self.children:
            found += child.mails()
        return found


def word(mail):
    server = re.search(r'[Ss]erver (\S+)', mail['Subject']).group(1)
    for text, event in (('is DOWN', 'down'), ('is UP', 'up'), ('enters drain', 'drain'), ('check for', 'report')):
        if text in mail['Subject']:
            return server + ':' + event
    return mail['Subject']


def thread(folder):
    table = {}
    for number, name in enumerate(sorted(os.listdir(folder))):
        with open(os.path.join(folder, name), 'rb') as f:
            text = f.read()
        mail = email.message_from_bytes(text[text.index(b'From: '):])
        if mail.defects:
            sys.exit('%s: %s' % (name, mail.defects))
        own = table.setdefault(mail['Message-ID'].strip('<>'), Container())
        if own.mail:
            sys.exit('%s: its Message-ID was there before' % name)
        own.mail = (number, word(mail))
        ids = re.findall(r'<([^<>\s]+)>', mail['References'] or mail['In-Reply-To'] or '')
        before = None
        for i in ids:
            container = table.setdefault(i, Container())
            if before:
                before.adopt(container)
            before = container
        if before and not own.holds(before):
            if own.parent:
                own.parent.children.remove(own)
                own.parent = None
            before.adopt(own)
    roots = [sorted(c.mails()) for c in table.values() if not c.parent]
    for mails in sorted(roots):
        print(' '.join(m[1] for m in mails))


for folder in sys.argv[1:]:
    thread(folder)
