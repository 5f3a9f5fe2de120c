// Command bench measures mqd against the kernel queue that it drains: it prints, in
// one run and interleaved, how many messages a second go from one process to
// another by raw msgsnd(2) and msgrcv(2), and how many go end to end through the
// daemon to an HTTP receiver on the loopback, and the ratio.
//
// It is run by "make bench", after a build.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mqdaemon/mqd/mq"
)

// bodySize is the payload of a message, in bytes: that of the project's figures.
const bodySize = 256

func main() {
	var b bench
	flag.StringVar(&b.bin, "bin", "bin", "directory of mqd")
	flag.IntVar(&b.messages, "messages", 1_000_000, "messages of one run")
	flag.IntVar(&b.rounds, "rounds", 5, "runs of each kind")
	flag.StringVar(&b.write, "write", "", "also write the table to this Markdown file")
	role := flag.String("role", "", "run as one of the processes of the measurement: send or receive")
	key := flag.Int("key", 0, "key of the queue, for a role")
	flag.Parse()
	var err error
	switch *role {
	case "":
		err = b.run()
	case "send":
		err = sendAll(mq.Key(*key), b.messages)
	case "receive":
		err = receiveAll(mq.Key(*key), b.messages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one measurement.
type bench struct {
	bin      string
	messages int
	rounds   int
	write    string
}

// figure is one line of the table: a rate per round, and the daemon's CPU time.
type figure struct {
	name  string
	rates []float64 // messages a second
	cpu   []float64 // seconds of the receiving process per million messages
}

func (b *bench) run() error {
	raw := &figure{name: "raw msgsnd and msgrcv, two processes"}
	whole := &figure{name: "mqd to an HTTP receiver, lines"}
	quiet := &latencies{}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.rounds)
		if err := b.raw(raw); err != nil {
			return fmt.Errorf("raw: %w", err)
		}
		if err := b.daemon(whole, quiet); err != nil {
			return fmt.Errorf("mqd: %w", err)
		}
	}
	return b.report(raw, whole, quiet)
}

// raw times one process that sends and one that receives.
func (b *bench) raw(f *figure) (err error) {
	key := randomKey()
	q, err := mq.OpenSysV(key, &mq.Options{Create: true, Exclusive: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Remove()) }()
	receive := b.role("receive", key)
	begin := time.Now()
	if err := receive.Start(); err != nil {
		return err
	}
	if err := b.role("send", key).Run(); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if err := receive.Wait(); err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	f.add(b.messages, time.Since(begin), receive.ProcessState)
	return nil
}

func (f *figure) add(messages int, took time.Duration, p *os.ProcessState) {
	f.rates = append(f.rates, float64(messages)/took.Seconds())
	cpu := p.UserTime() + p.SystemTime()
	f.cpu = append(f.cpu, cpu.Seconds()*1e6/float64(messages))
}

func (b *bench) role(name string, key mq.Key) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-role", name, "-key", strconv.Itoa(int(key)), "-messages", strconv.Itoa(b.messages))
	cmd.Stderr = os.Stderr
	return cmd
}

func randomKey() mq.Key { return mq.Key(0x6d000000 | rand.IntN(1<<24)) }

// sendAll sends as a C program would: one blocking msgsnd(2) after the other.
func sendAll(key mq.Key, n int) error {
	q, err := mq.OpenSysV(key, nil)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	msg := make([]byte, 8+bodySize)
	binary.NativeEndian.PutUint64(msg, 1)
	for i := range msg[8:] {
		msg[8+i] = 'x'
	}
	for i := range n {
		copy(msg[8:], strconv.AppendInt(msg[8:8], int64(i), 10))
		for {
			errno := msgsnd(q.ID(), msg, bodySize)
			if errno == 0 {
				break
			}
			if errno != unix.EINTR {
				return fmt.Errorf("msgsnd: %w", errno)
			}
		}
	}
	return nil
}

// receiveAll is the bare loop that a program without a daemon would have.
func receiveAll(key mq.Key, n int) error {
	q, err := mq.OpenSysV(key, nil)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	buf := make([]byte, 8+8192)
	for n > 0 {
		switch errno := msgrcv(q.ID(), buf, len(buf)-8); errno {
		case 0:
			n--
		case unix.EINTR:
		default:
			return fmt.Errorf("msgrcv: %w", errno)
		}
	}
	return nil
}

// report prints the table, and writes it.
func (b *bench) report(raw, whole *figure, quiet *latencies) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%d messages of %d bytes, %d rounds, interleaved; %s, %d cores, kernel %s\n\n",
		b.messages, bodySize, b.rounds, runtime.Version(), runtime.NumCPU(), release())
	fmt.Fprintln(&out, "| figure | messages/s (median) | least | most | ratio to raw | CPU s per million |")
	fmt.Fprintln(&out, "| --- | ---: | ---: | ---: | ---: | ---: |")
	base := median(raw.rates)
	for _, f := range []*figure{raw, whole} {
		fmt.Fprintf(&out, "| %s | %.0f | %.0f | %.0f | %.2f | %.2f |\n", f.name, median(f.rates),
			slices.Min(f.rates), slices.Max(f.rates), median(f.rates)/base, median(f.cpu))
	}
	fmt.Fprintf(&out, "\nAverage batch: %.0f messages. ", quiet.batch())
	fmt.Fprintf(&out, "CPU is that of the receiving process: the bare msgrcv loop, or mqd.\n\n")
	quiet.report(&out)
	fmt.Print(out.String())
	if b.write == "" {
		return nil
	}
	head := "# Benchmarks\n\nWritten by `make bench`. Ratios are of one run on one machine; absolute figures are only as good as that machine was quiet.\n\n"
	return os.WriteFile(b.write, []byte(head+out.String()), 0o644)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
