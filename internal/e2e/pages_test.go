package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mqdaemon/mqd/internal/testkit"
)

// TestPages serves a page by PHP with 20 worker processes and asks for it from 20
// sides at once: each answer means a message, and each message arrives once.
func TestPages(t *testing.T) {
	t.Parallel()
	const clients, each = 20, 50
	r := newReceiver(t)
	d := startDaemon(t, r, `format = "lines"`)
	page := servePage(t, 0)

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	var sent sync.WaitGroup
	var refused atomic.Int64
	for c := range clients {
		sent.Go(func() {
			for i := range each {
				q := url.Values{"key": {d.key()}, "text": {fmt.Sprintf("page %d.%d: grüße", c, i)}}
				if i%2 == 1 {
					q.Set("serialize", "1")
				}
				resp, err := client.Get(page + "?" + q.Encode())
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					refused.Add(1)
				}
			}
		})
	}
	sent.Wait()
	if n := refused.Load(); n != 0 {
		t.Errorf("%d of %d pages could not send", n, clients*each)
	}
	r.wait(clients*each, 5*time.Second)
	seen := map[string]int{}
	for _, body := range r.bodies() {
		seen[body]++
	}
	for c := range clients {
		for i := range each {
			if text := fmt.Sprintf("page %d.%d: grüße", c, i); seen[text] != 1 {
				t.Errorf("%q arrived %d times", text, seen[text])
			}
		}
	}
	if n := r.messages.Load(); n != clients*each {
		t.Errorf("%d messages, want %d", n, clients*each)
	}
}

// servePage starts PHP's own server as a user and gives the address of page.php.
func servePage(t *testing.T, uid int) string {
	t.Helper()
	php := testkit.Need(t, "php")
	source, err := os.ReadFile(filepath.Join("testdata", "page.php"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "mqd-e2e-page-") // where www-data can read it
	if err == nil {
		err = os.Chmod(root, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "page.php"), source, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })

	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	cmd := exec.Command(php, "-S", addr, "-t", root)
	cmd.Env = append(os.Environ(), "PHP_CLI_SERVER_WORKERS="+strconv.Itoa(20))
	if uid != 0 {
		asUser(cmd, uid)
	} else {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The workers outlive a killed server: they go with their group.
	cmd.SysProcAttr.Setpgid = true
	background(t, cmd)
	t.Cleanup(func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	eventually(t, startTime, "php -S listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return "http://" + addr + "/page.php"
}

// TestFirstDay is the normal first day: a PHP page of www-data made the queue
// before there was a daemon, open to everybody. The daemon takes it over with
// what waits in it.
func TestFirstDay(t *testing.T) {
	testkit.NeedRoot(t)
	t.Parallel()
	r := newReceiver(t)
	d := newDaemon(t, route{name: "default", to: r.url(), more: "format = \"lines\"\norder = \"strict\""})
	page := servePage(t, wwwData)
	for i := range 3 {
		resp, err := http.Get(page + "?" + url.Values{"key": {d.key()}, "text": {strconv.Itoa(i)}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if owner := ipcs(t, d.key()); owner != "uid=33 mode=666" {
		t.Fatalf("the page's queue: %s", owner)
	}
	d.start()
	r.wait(3, 5*time.Second)
	if got := strings.Join(r.bodies(), " "); got != "0 1 2" {
		t.Errorf("got %q", got)
	}
	if owner := ipcs(t, d.key()); owner != "uid=0 mode=620" {
		t.Errorf("the queue after the take-over: %s", owner)
	}
	d.waitLog(time.Second, "queue taken over")
}
