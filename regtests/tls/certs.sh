#!/bin/bash
# certs.sh DIR - makes the certificates of the TLS tests: nothing of them is kept, and their keys are of no
# use.
#
#   root.pem            the root CA; root2.pem another that nobody trusts
#   NAME.pem            for a server: certificate, chain without root, key, as HAProxy's crt. Issued by the CA "sub":
#                       good (mx.example.org, *.wild.example.org), ip (127.0.0.1, ::1), other (other.example.net),
#                       plain (CN=mx.example.org and no names beside it), expired, future, revoked, client,
#                       nul (a name with a NUL in it), many (200 names)
#   self.pem            signed by itself; unknown.pem by a CA under root2; nochain.pem is good's without "sub"; lowsub.pem by a CA
#                       that root revoked; long.pem has a chain of 90 KB
#   sub.crl.pem         of "sub", revokes `revoked`; all.crl.pem with the root's, which revokes "low"; old.crl.pem is out of date
#   locked.pem          good with a key that has a passphrase; nokey.pem without its key; mismatch.pem with another's
set -eu

dir=$1
mkdir -p "$dir"
cd "$dir"
umask 077
export CA=none
YEAR=$(date -u +%Y)
FROM=20200101000000Z
TO=$((YEAR + 5))0101000000Z

cat > ca.cnf <<-'END'
	[ca]
	default_ca = here
	[here]
	new_certs_dir = .
	database = $ENV::CA.db
	serial = $ENV::CA.serial
	crlnumber = $ENV::CA.crlnumber
	certificate = $ENV::CA.crt
	private_key = $ENV::CA.key
	default_md = sha256
	policy = any
	unique_subject = no
	copy_extensions = none
	default_crl_days = 30
	[any]
	commonName = supplied
	[req]
	distinguished_name = name
	[name]
	[v3_ca]
	basicConstraints = critical, CA:true
	keyUsage = critical, keyCertSign, cRLSign
	subjectKeyIdentifier = hash
END

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

# ca NAME: the files that `openssl ca` keeps
ca() {
	: > "$1.db"
	echo 1000 > "$1.serial"
	echo 01 > "$1.crlnumber"
}

# root NAME CN
root() {
	key "$1"
	ca "$1"
	openssl req -x509 -new -key "$1.key" -subj "/CN=$2" -days 3650 -config ca.cnf -extensions v3_ca -out "$1.crt"
	cp "$1.crt" "$1.pem"
}

# issue CA NAME CN EXTENSIONS [FROM TO]: NAME.crt and NAME.key
issue() {
	[ -f "$2.key" ] || key "$2"
	printf 'basicConstraints = critical, CA:%s\n' "$4" > "$2.ext"
	openssl req -new -key "$2.key" -subj "/CN=$3" -config ca.cnf -out "$2.csr"
	CA=$1 openssl ca -batch -config ca.cnf -in "$2.csr" -extfile "$2.ext" -startdate "${5:-$FROM}" -enddate "${6:-$TO}" \
		-notext -out "$2.crt" 2>/dev/null
}

# server CA NAME CN NAMES [FROM TO]: NAME.pem too
server() {
	issue "$1" "$2" "$3" "$(printf 'false\n%s' "${4:+subjectAltName = $4}")" "${@:5}"
	cat "$2.crt" "$1.crt" "$2.key" > "$2.pem"
}

CA_EXT=$(printf 'true\nkeyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash')
root root "Test root"
root root2 "Foreign root"
issue root sub "Test CA" "$CA_EXT"
ca sub
issue root low "Revoked CA" "$CA_EXT"
ca low
issue root2 strange "Foreign CA" "$CA_EXT"
ca strange

server sub good mx.example.org "DNS:mx.example.org, DNS:*.wild.example.org"
server sub ip address.example.org "IP:127.0.0.1, IP:::1"
server sub other other.example.net "DNS:other.example.net, DNS:www.example.net"
server sub plain mx.example.org ""
server sub expired mx.example.org "DNS:mx.example.org" 20200101000000Z 20250101000000Z
server sub future mx.example.org "DNS:mx.example.org" $((YEAR + 2))0101000000Z $((YEAR + 3))0101000000Z
server sub revoked mx.example.org "DNS:mx.example.org"
server sub client client.example.org "DNS:client.example.org"
server low lowsub mx.example.org "DNS:mx.example.org"
server strange unknown mx.example.org "DNS:mx.example.org"
server sub many many.example.org "$(seq -s ', ' -f 'DNS:host%g.many.example.org' 200)"
# A NUL within a name, for which the DER is written out: 28 bytes of a dNSName.
server sub nul nul.example.org "DER:301e821c$(printf 'mx.example.org\0.evil.example' | od -An -v -tx1 | tr -d ' \n')"
cat good.crt good.key > nochain.pem

key self
openssl req -x509 -new -key self.key -subj "/CN=self.example.org" -addext "subjectAltName = DNS:mx.example.org" -days 30 \
	-config ca.cnf -out self.crt
cat self.crt self.key > self.pem

# A chain that is too long: the CA's certificate again and again, each with 20 KB of names.
printf '%s\nsubjectAltName = %s\n' "$CA_EXT" "$(seq -s ', ' -f 'DNS:a-rather-long-name-of-host-%g.example.org' 500)" > big.names
issue root big "Big CA" "$(cat big.names)"
cat good.crt sub.crt big.crt big.crt big.crt big.crt good.key > long.pem

CA=sub openssl ca -config ca.cnf -revoke revoked.crt 2>/dev/null
CA=root openssl ca -config ca.cnf -revoke low.crt 2>/dev/null
for name in sub root low; do
	CA=$name openssl ca -config ca.cnf -gencrl -out $name.crl.pem 2>/dev/null
done
cat sub.crl.pem root.crl.pem low.crl.pem > all.crl.pem
CA=sub openssl ca -config ca.cnf -gencrl -crl_lastupdate 20200101000000Z -crl_nextupdate 20200201000000Z \
	-out old.crl.pem 2>/dev/null

openssl ec -in good.key -aes128 -passout pass:secret -out locked.key 2>/dev/null
cat good.crt sub.crt locked.key > locked.pem
cat good.crt sub.crt > nokey.pem
cat good.crt sub.crt other.key > mismatch.pem
