// SPDX-License-Identifier: Apache-2.0
// What Glibc's module map leaves out: epoll, eventfd, signalfd, accept4.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <stdint.h>

int penstock_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
