// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

int penstock_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int poller, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(poller, operation, descriptor, &event);
}

int penstock_epoll_add(int poller, int descriptor, uint32_t events, uint64_t token) {
    return control(poller, EPOLL_CTL_ADD, descriptor, events, token);
}

int penstock_epoll_change(int poller, int descriptor, uint32_t events, uint64_t token) {
    return control(poller, EPOLL_CTL_MOD, descriptor, events, token);
}

int penstock_epoll_remove(int poller, int descriptor) {
    return control(poller, EPOLL_CTL_DEL, descriptor, 0, 0);
}

int penstock_epoll_wait_precise(
    int poller, struct epoll_event *events, int count, int64_t nanoseconds) {
    struct timespec timeout = {
        .tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    return (int)syscall(
        SYS_epoll_pwait2, poller, events, count, nanoseconds < 0 ? NULL : &timeout, NULL,
        (size_t)0);
}

int penstock_epoll_wait(int poller, struct epoll_event *events, int count, int milliseconds) {
    return epoll_wait(poller, events, count, milliseconds);
}

int penstock_stream_socket(int family) {
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int penstock_accept(int descriptor, struct sockaddr *address, uint32_t *length) {
    return accept4(descriptor, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// Straight to the kernel: libc's functions are points where a thread may be cancelled, and switch
// that on and off with two atomic instructions a call. No thread of ours is ever cancelled.
ssize_t penstock_send(int descriptor, const void *bytes, size_t count) {
    return syscall(SYS_sendto, descriptor, bytes, count, MSG_NOSIGNAL, NULL, (size_t)0);
}

ssize_t penstock_receive(int descriptor, void *bytes, size_t count) {
    return syscall(SYS_recvfrom, descriptor, bytes, count, 0, NULL, NULL);
}

ssize_t penstock_peek(int descriptor, void *bytes, size_t count) {
    return syscall(SYS_recvfrom, descriptor, bytes, count, MSG_PEEK, NULL, NULL);
}

ssize_t penstock_send_two(
    int descriptor, const void *first, size_t first_count, const void *second,
    size_t second_count) {
    struct iovec pieces[2] = {
        {.iov_base = (void *)first, .iov_len = first_count},
        {.iov_base = (void *)second, .iov_len = second_count},
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    return sendmsg(descriptor, &message, MSG_NOSIGNAL);
}

static int set_number(int descriptor, int level, int option, int value) {
    return setsockopt(descriptor, level, option, &value, sizeof value);
}

int penstock_set_no_delay(int descriptor) {
    return set_number(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
}

int penstock_set_unsent_limit(int descriptor, int bytes) {
    return set_number(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

int penstock_set_reuse_address(int descriptor) {
    return set_number(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
}

int penstock_set_reuse_port(int descriptor) {
    return set_number(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
}

int penstock_set_v6_only(int descriptor) {
    return set_number(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

int penstock_set_receive_buffer(int descriptor, int bytes) {
    return set_number(descriptor, SOL_SOCKET, SO_RCVBUF, bytes);
}

int penstock_set_send_buffer(int descriptor, int bytes) {
    return set_number(descriptor, SOL_SOCKET, SO_SNDBUF, bytes);
}

int penstock_set_reset_on_close(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

int penstock_socket_error(int descriptor, int *outcome) {
    socklen_t length = sizeof *outcome;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, outcome, &length);
}

// Of the system's `struct tcp_info`, which the C library's header does not have to its end.
enum { bytes_acked = 120, bytes_sent = 200, bytes_retransmitted = 208, tcp_info_end = 216 };

int64_t penstock_unacknowledged(int descriptor) {
    unsigned char info[512];
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &length) < 0) return -1;
    if (length < tcp_info_end) {
        errno = ENOSYS;
        return -1;
    }
    uint64_t acked, sent, again;
    memcpy(&acked, info + bytes_acked, sizeof acked);
    memcpy(&sent, info + bytes_sent, sizeof sent);
    memcpy(&again, info + bytes_retransmitted, sizeof again);
    // The one who connected had its SYN acknowledged, too.
    if (acked > 0) acked -= 1;
    int64_t left = (int64_t)(sent - again - acked);
    return left < 0 ? 0 : left;
}

int penstock_unsent(int descriptor, int *bytes) { return ioctl(descriptor, SIOCOUTQ, bytes); }

int penstock_event_descriptor(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int penstock_signal_descriptor(const sigset_t *signals) {
    return signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int penstock_take_signal(int descriptor) {
    struct signalfd_siginfo information;
    // The kernel hands out whole records or none.
    if (read(descriptor, &information, sizeof information) < 0) return -1;
    return (int)information.ssi_signo;
}

int penstock_name_thread(pthread_t thread, const char *name) {
    char cut[16];
    snprintf(cut, sizeof cut, "%s", name);
    return pthread_setname_np(thread, cut);
}

int penstock_pin_thread(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return sched_setaffinity(0, sizeof set, &set);
}

int penstock_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    // The mask is larger than 1024 processors.
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1 ? 1 : (int)online;
}

int penstock_return_memory(int block, int others) {
    return mallopt(M_MMAP_THRESHOLD, block) && mallopt(M_TRIM_THRESHOLD, others) ? 0 : -1;
}

int penstock_raise_open_files(uint64_t *soft, uint64_t *hard) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -1;
    if (limit.rlim_cur != limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    *soft = limit.rlim_cur;
    *hard = limit.rlim_max;
    return 0;
}

void penstock_error_text(int number, char *text, size_t capacity) {
    // The GNU form may answer with a string of its own instead of filling `text`.
    const char *found = strerror_r(number, text, capacity);
    if (found != text) snprintf(text, capacity, "%s", found);
}

int penstock_random(uint64_t *value) {
    return getrandom(value, sizeof *value, 0) == sizeof *value ? 0 : -1;
}

int penstock_is_unknown_name(int code) {
    return code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
}

int penstock_rename_to_new(const char *path, const char *other) {
    int result = renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_NOREPLACE);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS)) return result;
    // A file system that cannot: the new name first, which fails where it is taken.
    if (link(path, other) != 0) return -1;
    return unlink(path);
}

const char *penstock_entry_name(const struct dirent *entry) { return entry->d_name; }
