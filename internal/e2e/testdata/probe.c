// probe KEY: tries everything on a queue and prints one line each, "WHAT ok" or
// "WHAT ERRNO".
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

static void say(const char *what, long r) {
	printf("%s %s\n", what, r >= 0 ? "ok" : strerrorname_np(errno));
}

int main(int argc, char **argv) {
	if (argc != 2) return 64;
	key_t key = (key_t)strtoul(argv[1], NULL, 0);
	struct { long mtype; char text[8192]; } m = {.mtype = 1, .text = "probe"};
	struct msqid_ds ds;
	int q = msgget(key, 0);
	say("open", q);
	if (q < 0) return 0;
	say("create", msgget(key, IPC_CREAT | 0666));
	say("send", msgsnd(q, &m, 5, IPC_NOWAIT));
	say("receive", msgrcv(q, &m, sizeof m.text, 0, IPC_NOWAIT));
	say("peek", msgrcv(q, &m, sizeof m.text, 0, IPC_NOWAIT | MSG_COPY));
	say("wait", msgrcv(q, &m, 0, 0, IPC_NOWAIT));
	say("stat", msgctl(q, IPC_STAT, &ds));
	memset(&ds, 0, sizeof ds);
	ds.msg_perm.mode = 0666;
	ds.msg_qbytes = 100;
	say("set", msgctl(q, IPC_SET, &ds));
	say("remove", msgctl(q, IPC_RMID, NULL));
	return 0;
}
