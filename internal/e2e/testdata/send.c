// send KEY COUNT SIZE TAIL FIRST: sends COUNT messages of SIZE bytes, waiting
// whenever the queue is full. Each begins with its number, ten digits and a
// space; the first is FIRST. TAIL fills the rest: text, nul, ff, canary (bytes
// that never occur in UTF-8) or time (the time of sending in ns, then spaces).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <time.h>

static const unsigned char canary[] = {0xC0, 0xC1, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFC, 0xFD};

int main(int argc, char **argv) {
	if (argc != 6) return 64;
	key_t key = (key_t)strtoul(argv[1], NULL, 0);
	long count = atol(argv[2]), first = atol(argv[5]);
	size_t size = (size_t)atol(argv[3]);
	const char *tail = argv[4];
	struct { long mtype; char text[65536 + 16]; } m = {.mtype = 1};
	if (size < 11 || size > 65536) return 64;
	int q = msgget(key, 0);
	if (q < 0) { perror("msgget"); return 1; }
	for (long i = first; i < first + count; i++) {
		int fill = strcmp(tail, "text") == 0 ? 'a' + (int)(i % 26) : strcmp(tail, "nul") == 0 ? 0 :
			strcmp(tail, "ff") == 0 ? 0xFF : strcmp(tail, "canary") == 0 ? canary[i % sizeof canary] : ' ';
		memset(m.text, fill, size);
		char head[64];
		int n = snprintf(head, sizeof head, "%010ld ", i);
		if (strcmp(tail, "time") == 0) {
			struct timespec t;
			clock_gettime(CLOCK_REALTIME, &t);
			n += snprintf(head + n, sizeof head - (size_t)n, "%lld ", (long long)t.tv_sec * 1000000000 + t.tv_nsec);
		}
		memcpy(m.text, head, (size_t)n < size ? (size_t)n : size);
		while (msgsnd(q, &m, size, 0) != 0) {
			if (errno == EINTR) continue;
			perror("msgsnd");
			return 1;
		}
	}
	return 0;
}
