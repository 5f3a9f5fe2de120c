package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestManyRoutes runs 64 routes, one of which has a receiver that never answers,
// and one a receiver that refuses: the others deliver as if these were not there.
func TestManyRoutes(t *testing.T) {
	t.Parallel()
	const routes, each = 64, 50
	r, hanging, refusing := newReceiver(t), newReceiver(t), newReceiver(t)
	hanging.answer = make(gate).answer
	refusing.answer = func(*request) int { return 404 }
	d := newDaemon(t)
	for i := range routes {
		to := r.url() + "?" + strconv.Itoa(i)
		switch i {
		case 7:
			to = hanging.url()
		case 8:
			to = refusing.url()
		}
		d.add(route{name: fmt.Sprintf("r%02d", i), to: to, more: `format = "lines"`})
	}
	d.start()
	for _, r := range d.status().Routes {
		eventually(t, 5*time.Second, "queue of "+r.Name, func() bool { return queueID(t, d.keyOf(r.Name)) != "" })
	}
	begin := time.Now()
	for n := range each {
		for _, route := range d.routes {
			d.sendTo(route.name, 1, route.name+" "+strconv.Itoa(n))
		}
	}
	r.wait((routes-2)*each, 10*time.Second)
	t.Logf("%d messages on %d routes in %v", routes*each, routes, time.Since(begin))
	seen := map[string]int{}
	for _, q := range r.accepted() {
		for _, m := range q.messages {
			seen[m.body]++
			if _, i, _ := strings.Cut(q.path, "?"); fmt.Sprintf("r%02s", i) != strings.Fields(m.body)[0] {
				t.Errorf("%q came to %s", m.body, q.path)
			}
		}
	}
	if len(seen) != (routes-2)*each {
		t.Errorf("%d different messages of %d", len(seen), (routes-2)*each)
	}
	eventually(t, 5*time.Second, "all settled", func() bool {
		for _, r := range d.status().Routes {
			if r.Name != "r07" && r.Name != "r08" && (r.Pending != 0 || r.Delivered != each || r.State != "ok") {
				return false
			}
		}
		return true
	})
	if st := d.route("r07"); st.Pending != each || st.Delivered != 0 || st.InFlight == 0 {
		t.Errorf("the route whose receiver hangs: %+v", st)
	}
	if st := d.route("r08"); st.Pending != each || st.State != "held" || !strings.Contains(st.LastError, "404") {
		t.Errorf("the route whose receiver refuses: %+v", st)
	}
	t.Logf("resident: %s", residentSize(t, d))
}

func residentSize(t *testing.T, d *daemon) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.pid()), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(size)
		}
	}
	return ""
}
