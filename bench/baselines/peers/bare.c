// The least that a generator with a schedule costs: one thread, one timer, one epoll, the bytes of one request written and
// those of its reply read, nothing looked at. Prints the CPU microseconds of a request.
//
//   cc -O2 -o bare bare.c && ./bare PORT RATE SECONDS CONNECTIONS BODY_FILE
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MAX = 64 << 10, CONNECTIONS_MAX = 1024 };

static long long now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static double cpu_us(void) {
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  return 1e6 * (used.ru_utime.tv_sec + used.ru_stime.tv_sec) + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static void must(int holds, const char *what) {
  if (!holds) {
    perror(what);
    exit(1);
  }
}

int main(int count, char **asked) {
  must(count == 6, "bare PORT RATE SECONDS CONNECTIONS BODY_FILE");
  int port = atoi(asked[1]), connections = atoi(asked[4]);
  long long rate = atoll(asked[2]), total = rate * atoll(asked[3]);
  must(connections > 0 && connections <= CONNECTIONS_MAX && rate > 0, "at least one connection and one request a second");

  static char body[BODY_MAX], request[BODY_MAX + 512], reply[BODY_MAX];
  FILE *file = fopen(asked[5], "rb");
  must(file != NULL, asked[5]);
  size_t bytes = fread(body, 1, sizeof body, file);
  fclose(file);
  int head = snprintf(request, sizeof request,
                      "POST /v1/orders HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
                      "content-length: %zu\r\n\r\n",
                      port, bytes);
  for (size_t at = 0; at < bytes; at++) request[head + at] = body[at];
  ssize_t length = head + (ssize_t)bytes;

  int poll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  must(poll >= 0 && timer >= 0, "epoll and timer");
  struct epoll_event watch = {.events = EPOLLIN | EPOLLET, .data.fd = timer};
  must(epoll_ctl(poll, EPOLL_CTL_ADD, timer, &watch) == 0, "watch the timer");
  int idle[CONNECTIONS_MAX], idle_count = 0, on = 1;
  for (int at = 0; at < connections; at++) {
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(connect(connection, (struct sockaddr *)&server, sizeof server) == 0, "connect");
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(connection, F_SETFL, O_NONBLOCK);
    watch = (struct epoll_event){.events = EPOLLIN, .data.fd = connection};
    must(epoll_ctl(poll, EPOLL_CTL_ADD, connection, &watch) == 0, "watch a connection");
    idle[idle_count++] = connection;
  }

  long long start_ns = now_ns() + 1000000, sent = 0, done = 0, set = -1;
  double before_us = cpu_us();
  while (done < total) {
    while (sent < total && idle_count > 0 && start_ns + sent * 1000000000LL / rate <= now_ns()) {
      must(write(idle[--idle_count], request, (size_t)length) == length, "write a request");
      sent++;
    }
    if (sent < total && set != sent) {
      long long at = start_ns + sent * 1000000000LL / rate;
      struct itimerspec setting = {.it_value = {at / 1000000000LL, at % 1000000000LL}};
      timerfd_settime(timer, TFD_TIMER_ABSTIME, &setting, NULL);
      set = sent;
    }
    struct epoll_event events[64];
    int ready = epoll_wait(poll, events, 64, 5000);
    must(ready > 0, "wait for a reply");
    for (int at = 0; at < ready; at++) {
      if (events[at].data.fd == timer) continue;
      must(read(events[at].data.fd, reply, sizeof reply) > 0, "read a reply");
      idle[idle_count++] = events[at].data.fd;
      done++;
    }
  }
  printf("%.1f\n", (cpu_us() - before_us) / (double)total);
}
