/*
 * escape - text of any origin as a string of JSON, or as a label value of Prometheus' text format.
 *
 * Names of the configuration, replies of mail servers and check output may hold any byte. What is not UTF-8
 * (RFC 3629: no overlong forms, no surrogates) becomes U+FFFD, one for each byte; so the output is UTF-8
 * whatever comes in.
 */
#ifndef CORE_ESCAPE_H
#define CORE_ESCAPE_H

#include <mailers/buffer.h>

/* Appends <text> as a JSON string (RFC 8259 section 7), quotes included. Nothing in it can end a script or
 * open a tag either, should the text ever be put into HTML: <, >, &, U+2028 and U+2029 are escaped too.
 */
void escape_json(struct buffer *out, const char *text);
/* Appends <text> as it stands between the quotes of a label value: \, " and newlines escaped, other control
 * characters as U+FFFD.
 */
void escape_label(struct buffer *out, const char *text);

#endif
