// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <zlib.h>

/* A macro that Swift cannot see; 47 is the largest window, with the header's kind found out. */
static inline int penstock_inflate_begin(z_stream *stream) { return inflateInit2(stream, 47); }
/* The same for gzip alone. */
static inline int penstock_inflate_gzip(z_stream *stream) { return inflateInit2(stream, 31); }
