/*
 * engine_talk - a server for messages that are larger than engine_peer's, for the tests of the engine that include this
 * behind it.
 */
#ifndef ENGINE_TALK_H
#define ENGINE_TALK_H

/* Says what a server says without PIPELINING, for messages larger than engine_peer's. Returns the largest
 * message's size.
 */
static inline size_t talk(struct engine *e, int slot, uint64_t now, size_t *mails)
{
	static char out[1 << 20];
	size_t len = 0, size = 0, n;
	const char *data, *reply = "220 mx ESMTP\r\n";

	engine_connected(e, slot, now);
	engine_feed(e, slot, reply, strlen(reply), now);
	while (engine_want(e, slot) != ENGINE_WANT_CLOSE) {
		while ((n = engine_peek(e, slot, &data))) {
			assert_true(len + n <= sizeof(out));
			memcpy(out + len, data, n);
			len += n;
			engine_ack(e, slot, n, now);
		}
		reply = "250 Ok\r\n";
		if (len > 5 && !memcmp(out + len - 5, "\r\n.\r\n", 5)) {
			size = len > size ? len : size;
			(*mails)++;
		} else if (!memcmp(out, "DATA", 4)) {
			reply = "354 go on\r\n";
		} else if (!memcmp(out, "QUIT", 4)) {
			reply = "221 bye\r\n";
		}
		len = 0;
		if (engine_want(e, slot) == ENGINE_WANT_READ)
			engine_feed(e, slot, reply, strlen(reply), now);
		if (reply[0] == '2' && reply[1] == '2')
			engine_eof(e, slot, now);
	}
	engine_release(e, slot, now);
	return size;
}

#endif
