# msgsnd.py KEY TYPE HEX...: sends each payload, given in hexadecimal.
import sys
import sysv_ipc

# The queue is write-only for clients: mode 0 asks for no permission to open it.
q = sysv_ipc.MessageQueue(int(sys.argv[1], 16), mode=0, max_message_size=8192)
for payload in sys.argv[3:]:
    q.send(bytes.fromhex(payload), type=int(sys.argv[2]))
