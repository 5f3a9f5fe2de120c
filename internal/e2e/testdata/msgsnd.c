// msgsnd KEY TYPE HEX...: sends each payload, given in hexadecimal.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

int main(int argc, char **argv) {
	if (argc < 3) return 64;
	struct { long mtype; unsigned char text[8192]; } m;
	int q = msgget((key_t)strtoul(argv[1], NULL, 0), 0);
	if (q < 0) { perror("msgget"); return 1; }
	for (int i = 3; i < argc; i++) {
		size_t n = strlen(argv[i]) / 2;
		m.mtype = atol(argv[2]);
		for (size_t j = 0; j < n; j++) {
			unsigned c;
			sscanf(argv[i] + 2 * j, "%2x", &c);
			m.text[j] = (unsigned char)c;
		}
		if (msgsnd(q, &m, n, 0) != 0) { perror("msgsnd"); return 1; }
	}
	return 0;
}
