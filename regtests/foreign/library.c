/*
 * library - another TLS library as a shared object, for run.sh.
 */
#include "foreign_ssl.h"
