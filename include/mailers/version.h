/*
 * version - what --version and `show mailers` say.
 */
#ifndef MAILERS_VERSION_H
#define MAILERS_VERSION_H

#define MAILERS_VERSION "0.2"

#endif
