package control

import (
	"encoding/json"
	"errors"
	"net/http"
)

// endpoint is one path: its only method and its handler.
type endpoint struct {
	method  string // GET serves HEAD too
	handler http.HandlerFunc
}

// routes is a handler for exact paths. [http.ServeMux] would do, but for its own
// redirects and its answers in plain text.
type routes struct {
	version   string
	endpoints map[string]endpoint
}

func (s *Server) socketRoutes() http.Handler {
	return &routes{version: s.cfg.Version, endpoints: map[string]endpoint{
		"/v1/status": {http.MethodGet, s.status},
		"/v1/flush":  {http.MethodPost, s.admin(s.flush)},
		"/metrics":   {http.MethodGet, s.metrics.ServeHTTP},
		"/healthz":   {http.MethodGet, s.healthz},
	}}
}

func (s *Server) tcpRoutes() http.Handler {
	return &routes{version: s.cfg.Version, endpoints: map[string]endpoint{
		"/metrics": {http.MethodGet, s.metrics.ServeHTTP},
		"/healthz": {http.MethodGet, s.healthz},
	}}
}

func (rs *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rs.version != "" {
		w.Header().Set("Mqd-Version", rs.version)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	e, ok := rs.endpoints[r.URL.Path]
	if !ok {
		fail(w, http.StatusNotFound, "not_found", "no such path")
		return
	}
	if r.Method != e.method && (r.Method != http.MethodHead || e.method != http.MethodGet) {
		w.Header().Set("Allow", e.method)
		fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "want "+e.method)
		return
	}
	e.handler(w, r)
}

// admin lets only root and the daemon's own user through.
func (s *Server) admin(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if uid := peerUID(r.Context()); uid != 0 && uid != s.uid {
			fail(w, http.StatusForbidden, "forbidden", "only root and the user of mqd may do this")
			return
		}
		h(w, r)
	}
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, s.cfg.Daemon.Status())
}

// flush wakes one route or all. An unknown parameter is refused: whoever sent it
// expects something that would not happen.
func (s *Server) flush(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	for name, values := range query {
		if name != "route" || len(values) != 1 {
			fail(w, http.StatusBadRequest, "bad_request", "want at most one parameter route and no other")
			return
		}
	}
	switch err := s.cfg.Daemon.Flush(query.Get("route")); {
	case errors.Is(err, ErrNoRoute):
		fail(w, http.StatusNotFound, "no_route", err.Error())
	case err != nil:
		s.cfg.Log.Warn("flush failed", "error", err)
		fail(w, http.StatusInternalServerError, "failed", err.Error())
	default:
		reply(w, http.StatusAccepted, struct{}{})
	}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the peer has gone: nothing to do
}

// fail answers with the contract's form of an error. code is for programs and
// stays as it is; message is for people.
func fail(w http.ResponseWriter, status int, code, message string) {
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	reply(w, status, map[string]detail{"error": {code, message}})
}
