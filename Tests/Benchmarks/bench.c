// SPDX-License-Identifier: Apache-2.0
/* Both ends of a benchmark: `bench engine` answers as fast as it can, `bench load` asks.

   bench engine
       Serves on a free port of loopback, which it prints. A chat gets one kilobyte of JSON; with
       "x_events":N,"x_gap_ms":G it gets N server-sent events, one every G milliseconds.
   bench load PORT CONNECTIONS SECONDS STATUS FILE
       Sends the request in FILE over kept connections, one after the other, and prints how many
       answers had STATUS, how many not, and the seconds that took.
   bench hold PORT CONNECTIONS FILE
       Sends one request over each connection, prints a line once all have had a first event, and
       holds them until its input ends. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, ROOM = 16384 };

struct connection {
    int fd;
    int have;
    /* Engine: events that are left, and when the next is due. */
    int events, gap;
    double due;
    /* Load: what is left of a body of known length; of a chunk; where a chunked body stands. */
    long left;
    int chunked, in_body, status, held;
    char in[ROOM + 1];
};

static struct connection *all[MOST];
static int poller;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static struct connection *add(int fd) {
    int one = 1;
    if (fd >= MOST) fail("too many descriptors");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct connection *made = calloc(1, sizeof *made);
    if (!made) fail("memory");
    made->fd = fd;
    all[fd] = made;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    return made;
}

static void drop(struct connection *gone) {
    close(gone->fd);
    all[gone->fd] = NULL;
    free(gone);
}

/* Whether the other end is still there. What it does not take at once is too much here. */
static int put(struct connection *to, const char *bytes, int count) {
    return send(to->fd, bytes, count, MSG_NOSIGNAL) == count;
}

static int get(struct connection *from) {
    int count = recv(from->fd, from->in + from->have, ROOM - from->have, 0);
    if (count < 0 && errno == EAGAIN) return 1;
    if (count <= 0) return 0;
    from->have += count;
    from->in[from->have] = 0;
    return 1;
}

static long number_after(const char *text, const char *word) {
    const char *found = strcasestr(text, word);
    return found ? atol(found + strlen(word)) : -1;
}

/* The engine. */

static const char PAGE[] =
    "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\nvllm:kv_cache_usage_perc 0\n"
    "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"10000000\"} 1\n";
static const char HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char EVENT[] =
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
static const char LAST[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
static char whole[2048];
static int whole_count, streams;

static void make_whole(void) {
    char body[1536], words[801];
    for (int place = 0; place < 800; place++) words[place] = place % 5 == 4 ? ' ' : 'w';
    words[800] = 0;
    int count = snprintf(
        body, sizeof body,
        "{\"id\":\"c\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\",\"choices\":"
        "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":200,"
        "\"completion_tokens\":160,\"total_tokens\":360}}",
        words);
    whole_count = snprintf(
        whole, sizeof whole,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        count, body);
}

static int answer(struct connection *from, const char *body) {
    char text[1024];
    if (!strncmp(from->in, "GET ", 4)) {
        int count = snprintf(
            text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
            sizeof PAGE - 1, PAGE);
        return put(from, text, count);
    }
    from->events = number_after(body, "\"x_events\":");
    if (from->events <= 0) return put(from, whole, whole_count);
    from->gap = number_after(body, "\"x_gap_ms\":");
    from->due = now();
    streams++;
    return put(from, HEAD, sizeof HEAD - 1);
}

static void serve(struct connection *from) {
    if (!get(from)) goto gone;
    char *end = strstr(from->in, "\r\n\r\n");
    if (!end) return;
    *end = 0;
    long length = number_after(from->in, "\r\ncontent-length: ");
    *end = '\r';
    if (length < 0) length = 0;
    if (from->have < end + 4 - from->in + length) return;
    from->have = 0;
    if (answer(from, end + 4)) return;
gone:
    if (from->events > 0) streams--;
    drop(from);
}

/* Sends every event that is due; says when the next one is, in milliseconds. */
static int tick(void) {
    if (!streams) return -1;
    double time = now(), next = time + 1;
    for (int fd = 0; fd < MOST; fd++) {
        struct connection *to = all[fd];
        if (!to || to->events <= 0) continue;
        if (to->due <= time) {
            char text[512];
            int count = snprintf(text, sizeof text, "%zx\r\n%s\r\n", sizeof EVENT - 1, EVENT);
            to->due += to->gap / 1e3;
            if (--to->events == 0) {
                memcpy(text + count, LAST, sizeof LAST - 1);
                count += sizeof LAST - 1;
                streams--;
            }
            put(to, text, count);
        }
        if (to->events > 0 && to->due < next) next = to->due;
    }
    int wait = (next - now()) * 1e3 + 0.999;
    return wait < 0 ? 0 : wait;
}

static void engine(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int door = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(door, (struct sockaddr *)&at, size) || listen(door, 4096)) fail("listen");
    getsockname(door, (struct sockaddr *)&at, &size);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    fcntl(door, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = door};
    epoll_ctl(poller, EPOLL_CTL_ADD, door, &event);
    make_whole();
    struct epoll_event ready[256];
    for (;;) {
        int count = epoll_wait(poller, ready, 256, tick());
        for (int place = 0; place < count; place++) {
            int fd = ready[place].data.fd;
            if (fd != door) {
                if (all[fd]) serve(all[fd]);
                continue;
            }
            for (int taken; (taken = accept(door, NULL, NULL)) >= 0;) add(taken);
        }
    }
}

/* The load. */

static char request[ROOM];
static int request_count, wanted;
static long good, bad;

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    request_count = fread(request, 1, sizeof request, file);
    fclose(file);
}

static struct connection *dial(int port) {
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    return add(fd);
}

static void consume(struct connection *from, int count) {
    from->have -= count;
    memmove(from->in, from->in + count, from->have + 1);
}

/* Takes what there is of the head: 1 when it is whole. */
static int take_head(struct connection *from) {
    char *end = strstr(from->in, "\r\n\r\n");
    if (!end) return 0;
    *end = 0;
    from->status = atoi(from->in + 9);
    from->left = number_after(from->in, "\r\ncontent-length: ");
    from->chunked = from->left < 0;
    from->in_body = 1;
    if (from->chunked) from->left = 0;
    consume(from, end + 4 - from->in);
    return 1;
}

/* Takes what there is of the body: 1 when it is whole. */
static int take_body(struct connection *from) {
    for (;;) {
        int part = from->have < from->left ? from->have : from->left;
        consume(from, part);
        from->left -= part;
        if (part) from->held = 1;
        if (from->left) return 0;
        if (!from->chunked) return 1;
        char *end = strstr(from->in, "\r\n");
        if (!end) return 0;
        long size = strtol(from->in, NULL, 16);
        if (!size && !strstr(end, "\r\n\r\n")) return 0;
        consume(from, end + 2 - from->in);
        if (!size) {
            consume(from, 2);
            return 1;
        }
        from->left = size + 2;
    }
}

static void hear(struct connection *from, int again) {
    if (!get(from)) fail("a connection was closed");
    while (from->have) {
        if (!from->in_body && !take_head(from)) return;
        if (!take_body(from)) return;
        from->in_body = 0;
        if (from->status == wanted) good++;
        else bad++;
        if (again && !put(from, request, request_count)) fail("send");
    }
}

static void load(int port, int connections, double seconds, int status) {
    wanted = status;
    for (int number = 0; number < connections; number++) {
        if (!put(dial(port), request, request_count)) fail("send");
    }
    struct epoll_event ready[256];
    double start = now();
    while (now() - start < seconds) {
        int count = epoll_wait(poller, ready, 256, 100);
        for (int place = 0; place < count; place++) hear(all[ready[place].data.fd], 1);
    }
    printf("%ld %ld %.6f\n", good, bad, now() - start);
}

static void hold(int port, int connections) {
    for (int number = 0; number < connections; number++) {
        if (!put(dial(port), request, request_count)) fail("send");
    }
    struct epoll_event ready[256];
    for (int held = 0; held < connections;) {
        int count = epoll_wait(poller, ready, 256, 10000);
        if (count <= 0) fail("no first event");
        for (int place = 0; place < count; place++) {
            struct connection *from = all[ready[place].data.fd];
            int before = from->held;
            hear(from, 0);
            held += from->held - before;
        }
    }
    printf("held\n");
    fflush(stdout);
    while (getchar() != EOF) continue;
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    poller = epoll_create1(0);
    if (count == 2 && !strcmp(words[1], "engine")) {
        engine();
    } else if (count == 7 && !strcmp(words[1], "load")) {
        read_request(words[6]);
        load(atoi(words[2]), atoi(words[3]), atof(words[4]), atoi(words[5]));
    } else if (count == 5 && !strcmp(words[1], "hold")) {
        read_request(words[4]);
        hold(atoi(words[2]), atoi(words[3]));
    } else {
        fprintf(stderr, "bench engine | load ... | hold ...: see the source\n");
        return 2;
    }
    return 0;
}
