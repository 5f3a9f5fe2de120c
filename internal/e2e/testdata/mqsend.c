// mqsend NAME PRIORITY TEXT...: sends each TEXT to a POSIX queue.
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
	if (argc < 4) return 64;
	mqd_t q = mq_open(argv[1], O_WRONLY);
	if (q == (mqd_t)-1) { perror("mq_open"); return 1; }
	for (int i = 3; i < argc; i++)
		if (mq_send(q, argv[i], strlen(argv[i]), (unsigned)atoi(argv[2])) != 0) { perror("mq_send"); return 1; }
	return 0;
}
