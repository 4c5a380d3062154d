/*
 * foreign - is there a TLS library in this process that mailers/tls.so would be mixed up with?
 *
 * tls.so needs libssl.so.3. The dynamic linker gives it each function from the first object of the process
 * that has one of that name: HAProxy itself, if it was linked with a TLS library statically and exports its
 * functions (as Debian's 3.4 packages do with AWS-LC), or any library that HAProxy is linked with. Two
 * libraries whose structs have the same names but not the same shape are the end of the process. So this
 * looks before tls.so is loaded.
 *
 * tls-static.so (make STATIC_SSL=1) has OpenSSL inside and takes no function of anybody else's: nothing is
 * to be asked before it is loaded. The file name tells the two apart, because a look into a module that is
 * loaded comes too late. So
 *
 *   if readable(tls-static.so) then load it
 *   else reason = engine.tls_check(); if reason then refuse(reason) else load tls.so
 *
 * and package.loadlib(path, "luaopen_mailers_tls") for either, which returns a light userdata: const struct
 * tls_api *.
 */
#ifndef HAPROXY_FOREIGN_H
#define HAPROXY_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define FOREIGN_REASON_SIZE 400

/* True when tls.so must not be loaded; <reason> (FOREIGN_REASON_SIZE bytes) says in one line why, and the way
 * out.
 */
bool foreign_tls(char *reason);

/* tls_check() for Lua: nil, or that line. */
int foreign_tls_check(lua_State *L);

#endif
