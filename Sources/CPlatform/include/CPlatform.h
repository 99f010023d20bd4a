// SPDX-License-Identifier: Apache-2.0
// What Glibc's module map leaves out, hides behind _GNU_SOURCE, or spells as a macro that Swift
// cannot see: epoll, eventfd, signalfd, accept4, socket options, CPU affinity. Every function keeps
// the convention of libc: -1 and errno, unless its line says otherwise.
#pragma once
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

// Only named here: its module is Glibc's.
struct sockaddr;

static const uint32_t penstock_epoll_in = EPOLLIN;
static const uint32_t penstock_epoll_out = EPOLLOUT;
static const uint32_t penstock_epoll_peer_closed = EPOLLRDHUP;
static const uint32_t penstock_epoll_hung_up = EPOLLHUP;
static const uint32_t penstock_epoll_failed = EPOLLERR;

int penstock_epoll_create(void);
int penstock_epoll_add(int poller, int descriptor, uint32_t events, uint64_t token);
int penstock_epoll_change(int poller, int descriptor, uint32_t events, uint64_t token);
int penstock_epoll_remove(int poller, int descriptor);
/// Waits in nanoseconds, negative for ever. ENOSYS on kernels before 5.11.
int penstock_epoll_wait_precise(
    int poller, struct epoll_event *events, int count, int64_t nanoseconds);
/// Waits in milliseconds, negative for ever.
int penstock_epoll_wait(int poller, struct epoll_event *events, int count, int milliseconds);

// The event is packed on x86-64, so Swift reads it through these.
static inline uint64_t penstock_event_token(const struct epoll_event *event) {
    return event->data.u64;
}
static inline uint32_t penstock_event_bits(const struct epoll_event *event) {
    return event->events;
}

/// A stream socket, non-blocking and close-on-exec.
int penstock_stream_socket(int family);
/// accept4, non-blocking and close-on-exec.
int penstock_accept(int descriptor, struct sockaddr *address, uint32_t *length);
/// Sends without SIGPIPE.
ssize_t penstock_send(int descriptor, const void *bytes, size_t count);
/// Receives what is there.
ssize_t penstock_receive(int descriptor, void *bytes, size_t count);
/// The same, and it stays there.
ssize_t penstock_peek(int descriptor, void *bytes, size_t count);
/// Sends two pieces in one call, without SIGPIPE.
ssize_t penstock_send_two(
    int descriptor, const void *first, size_t first_count, const void *second,
    size_t second_count);
int penstock_set_no_delay(int descriptor);
/// Bytes sent over a TCP connection that its peer has never acknowledged, also when it is broken.
int64_t penstock_unacknowledged(int descriptor);
/// TCP_NOTSENT_LOWAT: a socket is writable while fewer bytes wait to be sent for the first time.
int penstock_set_unsent_limit(int descriptor, int bytes);
int penstock_set_reuse_address(int descriptor);
int penstock_set_reuse_port(int descriptor);
int penstock_set_v6_only(int descriptor);
int penstock_set_receive_buffer(int descriptor, int bytes);
int penstock_set_send_buffer(int descriptor, int bytes);
/// SO_LINGER with zero seconds: close sends a reset.
int penstock_set_reset_on_close(int descriptor);
/// SO_ERROR, which reading clears, into `outcome`.
int penstock_socket_error(int descriptor, int *outcome);
/// SIOCOUTQ: bytes not yet acknowledged by the peer.
int penstock_unsent(int descriptor, int *bytes);

/// A counter descriptor, non-blocking and close-on-exec.
int penstock_event_descriptor(void);
/// A signalfd, non-blocking and close-on-exec.
int penstock_signal_descriptor(const sigset_t *signals);
/// Takes one pending signal's number; -1 and EAGAIN when there is none.
int penstock_take_signal(int descriptor);

/// An error number, 0 on success. Names are cut at 15 bytes.
int penstock_name_thread(pthread_t thread, const char *name);
/// Keeps the calling thread on one processor.
int penstock_pin_thread(int processor);
/// Processors that this process may run on, at least 1.
int penstock_processors(void);
/// What is freed goes back to the system: blocks of so many bytes at once, others from so many on.
int penstock_return_memory(int block, int others);
/// Lifts the soft limit of open files to the hard one and reports both.
int penstock_raise_open_files(uint64_t *soft, uint64_t *hard);
/// The text of an error number, always terminated.
void penstock_error_text(int number, char *text, size_t capacity);
/// Eight random bytes of the kernel; waits for its pool at boot.
int penstock_random(uint64_t *value);
/// Whether an answer of getaddrinfo means that the name does not exist or has no address.
int penstock_is_unknown_name(int code);

/// renameat2 that replaces nothing: EEXIST where the new name is taken.
int penstock_rename_to_new(const char *path, const char *other);
/// The name in an entry of a folder.
const char *penstock_entry_name(const struct dirent *entry);
