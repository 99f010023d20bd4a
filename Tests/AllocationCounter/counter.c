// SPDX-License-Identifier: Apache-2.0
#include "AllocationCounter.h"

#include <errno.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

static _Thread_local uint64_t taken;
static _Thread_local uint64_t released;

uint64_t allocations_of_this_thread(void) { return taken; }
uint64_t releases_of_this_thread(void) { return released; }

#if defined(SANITIZED) || !defined(__GLIBC__)

bool allocation_counter_works(void) { return false; }

#else

bool allocation_counter_works(void) { return true; }

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

void *malloc(size_t size) {
    taken += 1;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    taken += 1;
    return __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    taken += 1;
    if (block != NULL) released += 1;
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    taken += 1;
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *made = memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block) {
    if (block != NULL) released += 1;
    __libc_free(block);
}

#endif
