/* What C says: the layout of the kernel's structs, and the errno of calls. Each
 * line of output is a name, a tab and a number. The tests make the same calls
 * through the package and compare. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <unistd.h>

struct text { long mtype; char mtext[70000]; };

static void say(const char *name, long value) { printf("%s\t%ld\n", name, value); }

static void layout(void)
{
	say("sizeof msqid_ds", sizeof(struct msqid_ds));
	say("key", offsetof(struct msqid_ds, msg_perm.__key));
	say("uid", offsetof(struct msqid_ds, msg_perm.uid));
	say("gid", offsetof(struct msqid_ds, msg_perm.gid));
	say("cuid", offsetof(struct msqid_ds, msg_perm.cuid));
	say("cgid", offsetof(struct msqid_ds, msg_perm.cgid));
	say("mode", offsetof(struct msqid_ds, msg_perm.mode));
	say("stime", offsetof(struct msqid_ds, msg_stime));
	say("rtime", offsetof(struct msqid_ds, msg_rtime));
	say("ctime", offsetof(struct msqid_ds, msg_ctime));
	say("cbytes", offsetof(struct msqid_ds, __msg_cbytes));
	say("qnum", offsetof(struct msqid_ds, msg_qnum));
	say("qbytes", offsetof(struct msqid_ds, msg_qbytes));
	say("lspid", offsetof(struct msqid_ds, msg_lspid));
	say("lrpid", offsetof(struct msqid_ds, msg_lrpid));
	say("sizeof msginfo", sizeof(struct msginfo));
	say("msgmax", offsetof(struct msginfo, msgmax));
	say("msgmnb", offsetof(struct msginfo, msgmnb));
	say("msgmni", offsetof(struct msginfo, msgmni));
	say("sizeof mq_attr", sizeof(struct mq_attr));
	say("mq_flags", offsetof(struct mq_attr, mq_flags));
	say("mq_maxmsg", offsetof(struct mq_attr, mq_maxmsg));
	say("mq_msgsize", offsetof(struct mq_attr, mq_msgsize));
	say("mq_curmsgs", offsetof(struct mq_attr, mq_curmsgs));
	say("offset of mtext", offsetof(struct text, mtext));
}

static struct text t;

static int snd(int q, long type, size_t len)
{
	t.mtype = type;
	return msgsnd(q, &t, len, IPC_NOWAIT);
}

static long rcv(int q, size_t room, long type, int flags)
{
	return msgrcv(q, &t, room, type, IPC_NOWAIT | flags);
}

#define ERRNO(name, call) do { errno = 0; say(name, (call) < 0 ? errno : 0); } while (0)

static void sysv(key_t key)
{
	struct msqid_ds ds;
	int q;

	ERRNO("open absent", msgget(key, 0));
	q = msgget(key, IPC_CREAT | IPC_EXCL | 0600);
	ERRNO("open exclusive, exists", msgget(key, IPC_CREAT | IPC_EXCL | 0600));
	ERRNO("receive, empty", rcv(q, 100, 0, 0));
	ERRNO("send type 0", snd(q, 0, 1));
	ERRNO("send type -1", snd(q, -1, 1));
	ERRNO("send over msgmax", snd(q, 1, 65537));
	ERRNO("send nothing", snd(q, 3, 0));
	ERRNO("receive nothing", rcv(q, 0, 0, 0));
	ERRNO("send 10 bytes", snd(q, 3, 10));
	ERRNO("receive absent type", rcv(q, 100, 4, 0));
	ERRNO("receive lower type", rcv(q, 100, -2, 0));
	ERRNO("receive except", rcv(q, 100, 3, MSG_EXCEPT));
	ERRNO("receive, small buffer", rcv(q, 9, 0, 0));
	ERRNO("peek", rcv(q, 100, 0, MSG_COPY));
	ERRNO("peek past the end", rcv(q, 100, 1, MSG_COPY));
	ERRNO("peek, small buffer", rcv(q, 9, 0, MSG_COPY));
	ERRNO("receive truncated", rcv(q, 9, 0, MSG_NOERROR));
	msgctl(q, IPC_STAT, &ds);
	ds.msg_qbytes = 100;
	ERRNO("lower qbytes", msgctl(q, IPC_SET, &ds));
	ERRNO("send over qbytes", snd(q, 1, 101));
	ERRNO("send all of qbytes", snd(q, 1, 100));
	ERRNO("send, full", snd(q, 1, 1));
	ERRNO("remove", msgctl(q, IPC_RMID, NULL));
	ERRNO("send, removed", snd(q, 1, 1));
	ERRNO("receive, removed", rcv(q, 1, 0, 0));
	ERRNO("peek, removed", rcv(q, 1, 0, MSG_COPY));
	ERRNO("stat, removed", msgctl(q, IPC_STAT, &ds));
	ERRNO("set, removed", msgctl(q, IPC_SET, &ds));
	ERRNO("remove, removed", msgctl(q, IPC_RMID, NULL));
}

static void posix(const char *name)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 16 };
	char longest[300];
	mqd_t q;
	char buf[16];

	memset(longest, 'x', 257);
	longest[0] = '/';
	longest[257] = 0;
	ERRNO("open absent", mq_open(name, O_RDWR));
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &attr);
	ERRNO("open exclusive, exists", mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
	ERRNO("open, name of 256 bytes", mq_open(longest, O_RDWR | O_CREAT, 0600, &attr));
	attr.mq_maxmsg = -1;
	ERRNO("open, maxmsg -1", mq_open("/mq-oracle-none", O_RDWR | O_CREAT, 0600, &attr));
	attr.mq_maxmsg = 65537;
	ERRNO("open, maxmsg 65537", mq_open("/mq-oracle-none", O_RDWR | O_CREAT, 0600, &attr));
	ERRNO("receive, empty", mq_receive(q, buf, 16, NULL));
	ERRNO("send nothing", mq_send(q, buf, 0, 0));
	ERRNO("receive, small buffer", mq_receive(q, buf, 15, NULL));
	ERRNO("receive nothing", mq_receive(q, buf, 16, NULL));
	ERRNO("send over mq_msgsize", mq_send(q, buf, 17, 0));
	ERRNO("send priority 32768", mq_send(q, buf, 1, 32768));
	ERRNO("send priority 32767", mq_send(q, buf, 1, 32767));
	ERRNO("send second", mq_send(q, buf, 16, 0));
	ERRNO("send, full", mq_send(q, buf, 1, 0));
	ERRNO("remove", mq_unlink(name));
	ERRNO("remove, removed", mq_unlink(name));
	ERRNO("send, removed and full", mq_send(q, buf, 1, 0));
	mq_close(q);
}

int main(int argc, char **argv)
{
	int key = 0;

	if (argc == 2 && !strcmp(argv[1], "layout"))
		layout();
	else if (argc == 3 && !strcmp(argv[1], "sysv") && sscanf(argv[2], "%d", &key) == 1)
		sysv(key);
	else if (argc == 3 && !strcmp(argv[1], "posix"))
		posix(argv[2]);
	else
		return 64;
	return 0;
}
