package control

import (
	"log/slog"
	"net/http"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mqdaemon/mqd/client"
)

// metric is one number of a route's status.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*client.RouteStatus) int64
}

// collector turns one status snapshot into metrics at each scrape, so that the
// numbers of one scrape belong together and nothing is counted twice.
type collector struct {
	daemon  Daemon
	build   prometheus.Metric
	state   *prometheus.Desc
	metrics []metric
}

func newCollector(d Daemon, version string) *collector {
	c := &collector{
		daemon: d,
		build: prometheus.MustNewConstMetric(prometheus.NewDesc("mqd_build_info",
			"What the daemon was built from; always 1.", []string{"version", "goversion"}, nil),
			prometheus.GaugeValue, 1, strings.ToValidUTF8(version, "?"), runtime.Version()),
		state: prometheus.NewDesc("mqd_route_state",
			"1 for the state that the route is in, 0 for the others.", []string{"route", "state"}, nil),
	}
	add := func(kind prometheus.ValueType, name, help string, value func(*client.RouteStatus) int64) {
		desc := prometheus.NewDesc("mqd_"+name, help, []string{"route"}, nil)
		c.metrics = append(c.metrics, metric{desc, kind, value})
	}
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	add(gauge, "queue_depth", "Kernel messages waiting in the kernel queue.",
		func(r *client.RouteStatus) int64 { return r.Depth })
	add(gauge, "queue_bytes", "The capacity of the kernel queue in bytes (msg_qbytes).",
		func(r *client.RouteStatus) int64 { return r.QueueBytes })
	add(gauge, "pending", "Messages accepted and not yet settled.",
		func(r *client.RouteStatus) int64 { return r.Pending })
	add(gauge, "in_flight", "Messages in requests that have no answer yet.",
		func(r *client.RouteStatus) int64 { return r.InFlight })
	add(gauge, "slots", "Requests that may be in flight at once.",
		func(r *client.RouteStatus) int64 { return r.Slots })
	add(gauge, "oldest_seconds", "Age of the oldest message that is not yet settled.",
		func(r *client.RouteStatus) int64 { return r.Oldest })
	add(counter, "delivered_total", "Messages that the destination accepted.",
		func(r *client.RouteStatus) int64 { return r.Delivered })
	add(counter, "dead_total", "Messages refused for good.",
		func(r *client.RouteStatus) int64 { return r.Dead })
	add(counter, "expired_total", "Messages whose time to live ended before they were sent.",
		func(r *client.RouteStatus) int64 { return r.Expired })
	add(counter, "requests_total", "Requests sent, retries among them.",
		func(r *client.RouteStatus) int64 { return r.Requests })
	add(counter, "retries_total", "Requests sent again after a failure.",
		func(r *client.RouteStatus) int64 { return r.Retries })
	return c
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.build.Desc()
	ch <- c.state
	for _, m := range c.metrics {
		ch <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ch <- c.build
	status := c.daemon.Status()
	for i := range status.Routes {
		r := &status.Routes[i]
		route := strings.ToValidUTF8(r.Name, "?") // any other byte would be refused as a label
		for _, m := range c.metrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(r)), route)
		}
		for _, state := range client.States() {
			in := 0.0
			if r.State == state {
				in = 1
			}
			ch <- prometheus.MustNewConstMetric(c.state, prometheus.GaugeValue, in, route, string(state))
		}
	}
}

// newMetrics makes the handler of /metrics with a registry of its own: the global
// one would carry whatever some module puts there.
func newMetrics(cfg *Config) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		newCollector(cfg.Daemon, cfg.Version),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 8,
		CoalesceGather:      true,
		// The answer is a few KiB to a scraper near by; a compressor would keep
		// more memory than that for good.
		DisableCompression: true,
	})
}
