/*
 * setting_table - the keys of the settings file (see setting.h): name, type, bounds, default and example of each. The
 * texts of defaults are what doc/settings.md says; setting_check.c gives them.
 */
#include <mailers/address.h>
#include <mailers/sasl.h>
#include <mailers/rule.h>
#include <mailers/setting.h>
#include <mailers/template.h>

#define PATH_MAX_BYTES 4095 /* Linux's PATH_MAX without the NUL */

#define MAILER(member) offsetof(struct setting_mailer, member)
#define PROXY(member)  offsetof(struct setting_proxy, member)
#define RULE(member)   offsetof(struct rule, member)
#define SUMMARY(member) offsetof(struct setting_summary, member)

/* In the order of their enums. */
static const char *const words_tls[] = { "none", "opportunistic", "required", "implicit", NULL };
static const char *const words_verify[] = { "none", "required", NULL };
static const char *const words_ssl[] = { "TLSv1.2", "TLSv1.3", NULL };
static const char *const words_mode[] = { "all", "failover", NULL };
static const char *const words_first[] = { "wait", "now", NULL };
static const char *const words_auth[] = {
	"auto", "plain", "login", "cram-md5", "scram-sha-256", "xoauth2", "oauthbearer", NULL,
};

static const char *const words_level[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", NULL };
static const char *const words_event[] = { "down", "up", "drain", "check", NULL };

#define GROUP_SECRET 1 /* where the password or token comes from */
#define SECRET_REMEDY "password_file = \"/etc/haproxy/smtp1.pass\", or password_env = \"SMTP1_PASS\""
#define TOKEN_REMEDY  "token_file = \"/run/smtp1.token\", or token_env = \"SMTP1_TOKEN\""

const struct setting_field setting_mailer_fields[] = {
	{ "address", SETTING_ADDRESS, MAILER(address), 0, ADDRESS_TEXT_MAX, NULL, "", "\"unix@/run/smtp.sock\"", 0 },
	{ "tls", SETTING_ENUM, MAILER(tls), 0, 0, words_tls, "opportunistic; required with user", "\"required\"", 0 },
	{ "verify", SETTING_ENUM, MAILER(verify), 0, 0, words_verify, "required where tls is required or implicit, else none",
	  "\"required\"", 0 },
	{ "verifyhost", SETTING_HOST, MAILER(verifyhost), 0, ADDRESS_HOST_MAX, NULL, "the host name of address",
	  "\"mail.example.org\"", 0 },
	{ "sni", SETTING_DNS, MAILER(sni), 0, ADDRESS_HOST_MAX, NULL, "verifyhost, or the host name of address",
	  "\"mail.example.org\"", 0 },
	{ "ca_file", SETTING_FILE, MAILER(ca_file), 0, PATH_MAX_BYTES, NULL, "the system's CAs",
	  "\"/etc/haproxy/mail-ca.pem\"", 0 },
	{ "crl_file", SETTING_FILE, MAILER(crl_file), 0, PATH_MAX_BYTES, NULL, "", "\"/etc/haproxy/mail-crl.pem\"", 0 },
	{ "crt", SETTING_FILE, MAILER(crt), 0, PATH_MAX_BYTES, NULL, "", "\"/etc/haproxy/client.pem\"", 0 },
	{ "ssl_min_ver", SETTING_ENUM, MAILER(ssl_min_ver), 0, 0, words_ssl, "TLSv1.2", "\"TLSv1.3\"", 0 },
	{ "user", SETTING_TEXT, MAILER(user), 0, SASL_TEXT_MAX, NULL, "", "\"alerts\"", 0 },
	{ "password_file", SETTING_FILE, MAILER(password_file), 0, PATH_MAX_BYTES, NULL, "", "\"/etc/haproxy/smtp1.pass\"",
	  GROUP_SECRET },
	{ "password_env", SETTING_VARIABLE, MAILER(password_env), 0, 255, NULL, "", "\"SMTP1_PASS\"", GROUP_SECRET },
	{ "token_file", SETTING_FILE, MAILER(token_file), 0, PATH_MAX_BYTES, NULL, "", "\"/run/smtp1/token\"", GROUP_SECRET },
	{ "token_env", SETTING_VARIABLE, MAILER(token_env), 0, 255, NULL, "", "\"SMTP1_TOKEN\"", GROUP_SECRET },
	{ "auth", SETTING_AUTH, MAILER(auth), 0, 0, words_auth, "auto", "{ \"scram-sha-256\", \"plain\" }", 0 },
	{ "auth_without_tls", SETTING_BOOL, MAILER(auth_without_tls), 0, 0, NULL, "false", "true", 0 },
	{ "helo", SETTING_HELO, MAILER(helo), 0, SMTP_CLIENT_HELO_MAX, NULL, "`email-alert myhostname`", "\"lb1.example.org\"",
	  0 },
	{ "maxconn", SETTING_NUMBER, MAILER(maxconn), 1, 64, NULL, "4", "2", 0 },
	{ "timeout_connect", SETTING_TIME, MAILER(timeout_connect), 10, SETTING_TIME_MAX, NULL, "timeout_mail", "\"5s\"", 0 },
	{ "timeout_mail", SETTING_TIME, MAILER(timeout_mail), 10, SETTING_TIME_MAX, NULL, "`timeout mail`, 10s", "\"10s\"", 0 },
	{ "timeout_final", SETTING_TIME, MAILER(timeout_final), 10, SETTING_TIME_MAX, NULL, "5m", "\"10m\"", 0 },
	{ "pipelining", SETTING_BOOL, MAILER(pipelining), 0, 0, NULL, "true", "false", 0 },
	{ "chunking", SETTING_BOOL, MAILER(chunking), 0, 0, NULL, "true", "false", 0 },
	{ "fall", SETTING_NUMBER, MAILER(fall), 1, 100, NULL, "3", "5", 0 },
	{ "rise", SETTING_NUMBER, MAILER(rise), 1, 100, NULL, "2", "3", 0 },
	{ "inter", SETTING_TIME, MAILER(inter), 100, SETTING_TIME_MAX, NULL, "10s", "\"30s\"", 0 },
	{ "backup", SETTING_BOOL, MAILER(backup), 0, 0, NULL, "false", "true", 0 },
	{ "password", SETTING_SECRET, 0, 0, 0, NULL, "", SECRET_REMEDY, 0 },
	{ "token", SETTING_SECRET, 0, 0, 0, NULL, "", TOKEN_REMEDY, 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};

const struct setting_field setting_proxy_fields[] = {
	{ "mode", SETTING_ENUM, PROXY(mode), 0, 0, words_mode, "all", "\"failover\"", 0 },
	{ "order", SETTING_IDS, PROXY(order), 0, 0, NULL, "`mailer` lines by name, then extra ones", "{ \"smtp1\", \"smtp2\" }", 0 },
	{ "limit", SETTING_LIMIT, PROXY(limit), 0, 0, NULL, "", "{ mails = 20, per = \"1m\" }", 0 },
	{ "max_age", SETTING_TIME, PROXY(max_age), 1000, SETTING_TIME_MAX, NULL, "4h", "\"1h\"", 0 },
	{ "extra", SETTING_TABLE, 0, 0, 0, NULL, "", "{ local1 = { address = \"unix@/run/smtp.sock\" } }", 0 },
	{ "subject", SETTING_SUBJECT, PROXY(subject), 0, TEMPLATE_SUBJECT_MAX, NULL, "`[HAProxy Alert] %{text}`",
	  "\"%{proxy}: %{server} is %{state}\"", 0 },
	{ "body", SETTING_BODY, PROXY(body), 0, TEMPLATE_BODY_MAX, NULL, "`%{text}`", "\"%{text}\\n\\nSince %{since}.\"", 0 },
	{ "rules", SETTING_RULES, PROXY(rules), 0, RULE_MAX, NULL, "", "{ { proxy = \"^db\", to = \"dba@example.org\" } }", 0 },
	{ "route", SETTING_FUNCTION, PROXY(route), 0, 0, NULL, "", "function(alert) return alert end", 0 },
	{ "route_timeout", SETTING_TIME, PROXY(route_timeout), 10, SETTING_ROUTE_MAX, NULL, "5s", "\"2s\"", 0 },
	{ "summary", SETTING_SUMMARY, PROXY(summary), 0, 0, NULL, "", "{ wait = \"30s\", max_wait = \"5m\" }", 0 },
	{ "threads", SETTING_BOOL, PROXY(threads), 0, 0, NULL, "false", "true", 0 },
	{ "durations", SETTING_BOOL, PROXY(durations), 0, 0, NULL, "false", "true", 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};

const struct setting_field setting_rule_fields[] = {
	{ "proxy", SETTING_PATTERNS, RULE(proxy), 0, RULE_PATTERN_MAX, NULL, "any", "{ \"^db\", \"^sql\" }", 0 },
	{ "server", SETTING_PATTERNS, RULE(server), 0, RULE_PATTERN_MAX, NULL, "any", "\"^s1$\"", 0 },
	{ "level", SETTING_ENUM, RULE(level), 0, 0, words_level, "any", "\"alert\"", 0 },
	{ "event", SETTING_EVENTS, RULE(event), 0, 0, words_event, "any", "{ \"down\", \"up\" }", 0 },
	{ "words", SETTING_WORDS, RULE(words), 0, RULE_PATTERN_MAX, NULL, "any", "{ \"timeout\", \"refused\" }", 0 },
	{ "to", SETTING_MAILBOXES, RULE(to), 0, 4000, NULL, "`email-alert to`", "{ \"dba@example.org\" }", 0 },
	{ "cc", SETTING_MAILBOXES, RULE(cc), 0, 4000, NULL, "", "\"ops@example.org\"", 0 },
	{ "mailers", SETTING_NAMES, RULE(mailers), 0, 255, NULL, "all of the proxy", "{ \"smtp1\" }", 0 },
	{ "subject", SETTING_SUBJECT, RULE(subject), 0, TEMPLATE_SUBJECT_MAX, NULL, "the proxy's",
	  "\"DB %{server} is %{state}\"", 0 },
	{ "body", SETTING_BODY, RULE(body), 0, TEMPLATE_BODY_MAX, NULL, "the proxy's", "\"%{text}\"", 0 },
	{ "drop", SETTING_BOOL, RULE(drop), 0, 0, NULL, "false", "true", 0 },
	{ "continue", SETTING_BOOL, RULE(further), 0, 0, NULL, "false", "true", 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};

const struct setting_field setting_summary_fields[] = {
	{ "wait", SETTING_TIME, SUMMARY(wait), 100, SETTING_TIME_MAX, NULL, "30s", "\"1m\"", 0 },
	{ "max_wait", SETTING_TIME, SUMMARY(max_wait), 100, SETTING_TIME_MAX, NULL, "5m, or wait if that is longer", "\"10m\"",
	  0 },
	{ "first", SETTING_ENUM, SUMMARY(first), 0, 0, words_first, "wait", "\"now\"", 0 },
	{ "batch", SETTING_BATCH, SUMMARY(batch), 0, TEMPLATE_SUBJECT_MAX, NULL, "`%{proxy}`", "\"all proxies\"", 0 },
	{ "group", SETTING_SUBJECT, SUMMARY(group), 0, TEMPLATE_SUBJECT_MAX, NULL, "`%{name}`", "\"%{proxy} %{state}\"", 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};

const struct setting_field setting_limit_fields[] = {
	{ "mails", SETTING_NUMBER, offsetof(struct setting_limit, mails), 1, 100000, NULL, "", "20", 0 },
	{ "per", SETTING_TIME, offsetof(struct setting_limit, per), 100, SETTING_TIME_MAX, NULL, "", "\"1m\"", 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};

const struct setting_field setting_top_fields[] = {
	{ "mailers", SETTING_TABLE, 0, 0, 0, NULL, "", "{ [\"smtp1\"] = { tls = \"required\" } }", 0 },
	{ "proxies", SETTING_TABLE, 0, 0, 0, NULL, "", "{ [\"db\"] = { mode = \"failover\" } }", 0 },
	{ "drain", SETTING_TIME, offsetof(struct setting_top, drain), 0, SETTING_TIME_MAX, NULL, "30s", "\"1m\"", 0 },
	{ "commands", SETTING_BOOL, offsetof(struct setting_top, commands), 0, 0, NULL, "false", "true", 0 },
	{ NULL, SETTING_TEXT, 0, 0, 0, NULL, NULL, NULL, 0 },
};
