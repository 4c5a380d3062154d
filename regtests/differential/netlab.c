/*
 * netlab - the system calls that the differential test needs and that Lua does not have: loopback and unix sockets,
 * poll(), processes, a clock. A Lua C module (Lua 5.3 or 5.4), used by loop.lua and stage.lua only.
 *
 * All sockets are non-blocking, closed on exec, and numbers to Lua. A call that failed returns nil and errno's
 * text; only a wrong type of argument raises. Children die with the test program, whatever ends it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <lauxlib.h>
#include <lua.h>

#define NETLAB_FDS_MAX  512
#define NETLAB_ARGS_MAX 32

int luaopen_netlab(lua_State *L);

static int netlab_fail(lua_State *L)
{
	lua_pushnil(L);
	lua_pushstring(L, errno == EAGAIN ? "again" : strerror(errno));
	return 2;
}

static int netlab_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* bind(host, port) -> fd, port. A socket that is bound and does not listen refuses connections and keeps its port;
 * SO_REUSEPORT lets a second one, which listens, come and go beside it.
 */
static int netlab_bind(lua_State *L)
{
	const char *host = luaL_checkstring(L, 1);
	in_port_t port = htons((uint16_t)luaL_checkinteger(L, 2));
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	} a = { .in4 = { .sin_family = AF_INET, .sin_port = port } };
	socklen_t len = sizeof(a.in4);
	int fd, one = 1;

	if (strchr(host, ':')) {
		a.in6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = port };
		len = sizeof(a.in6);
		luaL_argcheck(L, inet_pton(AF_INET6, host, &a.in6.sin6_addr) == 1, 1, "no IPv6 address");
	} else {
		luaL_argcheck(L, inet_pton(AF_INET, host, &a.in4.sin_addr) == 1, 1, "no IPv4 address");
	}
	fd = netlab_socket(a.sa.sa_family);
	if (fd < 0)
		return netlab_fail(L);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, &a.sa, len) < 0 || getsockname(fd, &a.sa, &len) < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return netlab_fail(L);
	}
	lua_pushinteger(L, fd);
	lua_pushinteger(L, ntohs(a.sa.sa_family == AF_INET ? a.in4.sin_port : a.in6.sin6_port));
	return 2;
}

static int netlab_listen(lua_State *L)
{
	if (listen((int)luaL_checkinteger(L, 1), (int)luaL_optinteger(L, 2, 128)) < 0)
		return netlab_fail(L);
	lua_pushboolean(L, 1);
	return 1;
}

static int netlab_accept(lua_State *L)
{
	int fd = accept4((int)luaL_checkinteger(L, 1), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return netlab_fail(L);
	lua_pushinteger(L, fd);
	return 1;
}

/* connect_unix(path) -> fd, connected: a unix socket connects at once or not at all. */
static int netlab_connect_unix(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd, error;

	luaL_argcheck(L, strlen(path) < sizeof(un.sun_path), 1, "path too long");
	memcpy(un.sun_path, path, strlen(path) + 1);
	fd = netlab_socket(AF_UNIX);
	if (fd < 0)
		return netlab_fail(L);
	if (connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
		error = errno;
		close(fd);
		errno = error;
		return netlab_fail(L);
	}
	lua_pushinteger(L, fd);
	return 1;
}

/* connect(port) -> fd, to IPv4 loopback, perhaps not connected yet. */
static int netlab_connect(lua_State *L)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	                           .sin_port = htons((uint16_t)luaL_checkinteger(L, 1)) };
	int fd = netlab_socket(AF_INET);

	if (fd < 0 || (connect(fd, (struct sockaddr *)&in4, sizeof(in4)) < 0 && errno != EINPROGRESS))
		return netlab_fail(L);
	lua_pushinteger(L, fd);
	return 1;
}

/* recv(fd) -> bytes; nil, "closed" at the end of file; nil, "again" */
static int netlab_recv(lua_State *L)
{
	char buffer[16384];
	ssize_t n = recv((int)luaL_checkinteger(L, 1), buffer, sizeof(buffer), 0);

	if (n < 0)
		return netlab_fail(L);
	if (!n) {
		lua_pushnil(L);
		lua_pushliteral(L, "closed");
		return 2;
	}
	lua_pushlstring(L, buffer, (size_t)n);
	return 1;
}

/* send(fd, bytes) -> number of bytes taken */
static int netlab_send(lua_State *L)
{
	size_t len;
	const char *data = luaL_checklstring(L, 2, &len);
	ssize_t n = send((int)luaL_checkinteger(L, 1), data, len, MSG_NOSIGNAL);

	if (n < 0)
		return netlab_fail(L);
	lua_pushinteger(L, n);
	return 1;
}

static int netlab_close(lua_State *L)
{
	close((int)luaL_checkinteger(L, 1));
	return 0;
}

/* poll({[fd] = true when it wants to write too}, timeout_ms) -> {[fd] = "r", "w" or "rw"} */
static int netlab_poll(lua_State *L)
{
	struct pollfd fds[NETLAB_FDS_MAX];
	nfds_t i, n = 0;
	int timeout_ms = (int)luaL_checkinteger(L, 2);

	luaL_checktype(L, 1, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		if (n == NETLAB_FDS_MAX)
			return luaL_error(L, "too many sockets");
		fds[n].fd = (int)lua_tointeger(L, -2);
		fds[n].events = lua_toboolean(L, -1) ? POLLIN | POLLOUT : POLLIN;
		fds[n++].revents = 0;
	}
	if (poll(fds, n, timeout_ms) < 0 && errno != EINTR)
		return netlab_fail(L);
	lua_newtable(L);
	for (i = 0; i < n; i++) {
		int r = fds[i].revents & (POLLIN | POLLHUP | POLLERR), w = fds[i].revents & POLLOUT;

		if (!r && !w)
			continue;
		lua_pushstring(L, r && w ? "rw" : r ? "r" : "w");
		lua_rawseti(L, -2, fds[i].fd);
	}
	return 1;
}

static void netlab_exec(char *const *argv, const char *log, pid_t parent)
{
	int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (in < 0 || out < 0 || getppid() != parent)
		_exit(126);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	_exit(127);
}

/* spawn({program, argument...}, log file) -> pid */
static int netlab_spawn(lua_State *L)
{
	char *argv[NETLAB_ARGS_MAX + 1] = { NULL };
	const char *log = luaL_checkstring(L, 2);
	pid_t pid, parent = getpid();
	int i;

	luaL_checktype(L, 1, LUA_TTABLE);
	for (i = 0; i < NETLAB_ARGS_MAX; i++) {
		lua_rawgeti(L, 1, i + 1); /* stays on the stack, so that its text lives */
		luaL_checkstack(L, 2, NULL);
		if (lua_isnil(L, -1))
			break;
		argv[i] = (char *)(uintptr_t)lua_tostring(L, -1);
	}
	luaL_argcheck(L, argv[0] && i < NETLAB_ARGS_MAX, 1, "no arguments, or too many");
	pid = fork();
	if (pid < 0)
		return netlab_fail(L);
	if (!pid)
		netlab_exec(argv, log, parent);
	lua_pushinteger(L, pid);
	return 1;
}

static int netlab_kill(lua_State *L)
{
	pid_t pid = (pid_t)luaL_checkinteger(L, 1);

	luaL_argcheck(L, pid > 1, 1, "no child");
	if (kill(pid, (int)luaL_checkinteger(L, 2)) < 0)
		return netlab_fail(L);
	lua_pushboolean(L, 1);
	return 1;
}

/* wait(pid) -> nil while it runs, else "exit <code>" or "signal <number>" */
static int netlab_wait(lua_State *L)
{
	int status;
	pid_t pid = waitpid((pid_t)luaL_checkinteger(L, 1), &status, WNOHANG);

	if (pid == 0)
		lua_pushnil(L);
	else if (pid < 0)
		lua_pushstring(L, strerror(errno));
	else if (WIFEXITED(status))
		lua_pushfstring(L, "exit %d", WEXITSTATUS(status));
	else
		lua_pushfstring(L, "signal %d", WTERMSIG(status));
	return 1;
}

static int netlab_now_ms(lua_State *L)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	lua_pushinteger(L, (lua_Integer)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
	return 1;
}

static int netlab_mkdtemp(lua_State *L)
{
	const char *tmp = getenv("TMPDIR");
	char path[256];

	/* unix socket paths are short: a deep TMPDIR would not leave room for them */
	if (!tmp || strlen(tmp) > 40)
		tmp = "/tmp";
	strcpy(path, tmp);
	strcat(path, "/difftest.XXXXXX");
	if (!mkdtemp(path))
		return netlab_fail(L);
	lua_pushstring(L, path);
	return 1;
}

int luaopen_netlab(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "bind", netlab_bind },       { "listen", netlab_listen },
		{ "accept", netlab_accept },   { "connect_unix", netlab_connect_unix },
		{ "connect", netlab_connect }, { "recv", netlab_recv },
		{ "send", netlab_send },       { "close", netlab_close },
		{ "poll", netlab_poll },       { "spawn", netlab_spawn },
		{ "kill", netlab_kill },       { "wait", netlab_wait },
		{ "now_ms", netlab_now_ms },   { "mkdtemp", netlab_mkdtemp },
		{ NULL, NULL },
	};

	signal(SIGPIPE, SIG_IGN);
	luaL_newlib(L, functions);
	return 1;
}
