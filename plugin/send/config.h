/*
 * config - finds a `mailer` line in HAProxy's configuration.
 */
#ifndef SEND_CONFIG_H
#define SEND_CONFIG_H

#include <stddef.h>

#define CONFIG_REASON_SIZE 480

/* The address of `mailer <id> <address>` in the file <path>, to be freed; NULL with a <reason> (CONFIG_REASON_SIZE bytes) when
 * it cannot be read, has no such line, or has several with different addresses.
 */
char *config_mailer(const char *path, const char *id, char *reason);

#endif
