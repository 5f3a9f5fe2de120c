package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// sizes are the bars of the chart: batches of up to so many messages.
var sizes = []int{1, 10, 50, 100, 200, 500}

const barWidth = 40

// summary tells the story in one screen.
func (d *demo) summary(busy int, took, flushed time.Duration) {
	fmt.Fprintf(d.out, "quiet   %d lines, one each %v: each is forwarded at once\n", quietLines, quietEvery)
	d.chart("quiet")
	slices.Sort(d.recv.latency)
	if n := len(d.recv.latency); n > 0 {
		fmt.Fprintf(d.out, "        from mqctl's input to the receiver: median %v, slowest %v\n",
			d.recv.latency[n/2].Round(10*time.Microsecond), d.recv.latency[n-1].Round(10*time.Microsecond))
	}
	fmt.Fprintf(d.out, "\nbusy    %d lines as fast as they go (%.0f a second): what piles up goes as one request\n",
		busy, float64(busy)/took.Seconds())
	d.chart("busy")
	fmt.Fprintf(d.out, "\noutage  the receiver answers 503, 100 messages come in and are kept; it is up again, kill -USR1\n")
	d.chart("outage")
	fmt.Fprintf(d.out, "        all delivered %v after the signal\n", flushed.Round(100*time.Microsecond))

	lost, repeated := d.balance()
	fmt.Fprintf(d.out, "\n%d messages in %d requests, %d refused and tried again, lost = %d, repeated = %d\n",
		d.recv.count, len(d.recv.requests), d.recv.refused, lost, repeated)
}

// chart shows how many requests of a phase had how many messages.
func (d *demo) chart(phase string) {
	counts := make([]int, len(sizes))
	requests, messages := 0, 0
	for _, r := range d.recv.requests {
		if r.phase != phase {
			continue
		}
		i, _ := slices.BinarySearch(sizes, r.messages)
		counts[min(i, len(sizes)-1)]++
		requests++
		messages += r.messages
	}
	if requests == 0 {
		return
	}
	most := slices.Max(counts)
	fmt.Fprintf(d.out, "        %d messages in %d requests, %.1f on average\n", messages, requests, float64(messages)/float64(requests))
	low := 1
	for i, n := range counts {
		label := fmt.Sprintf("%d-%d", low, sizes[i])
		if low == sizes[i] {
			label = fmt.Sprint(low)
		}
		low = sizes[i] + 1
		if n == 0 {
			continue
		}
		bar := strings.Repeat("#", max(1, n*barWidth/most))
		fmt.Fprintf(d.out, "        %8s %-*s %d\n", label, barWidth, bar, n)
	}
}
