package envelope_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
)

func TestParseAccept(t *testing.T) {
	for _, tc := range []struct {
		names []string
		want  envelope.Accept
		err   string
	}{
		{names: []string{"envelope", "json", "php", "raw"}, want: envelope.AcceptAll},
		{names: []string{"raw", "php", "json", "envelope"}, want: envelope.AcceptAll},
		{names: []string{"raw"}, want: 1 << envelope.Raw},
		{names: []string{"json"}, want: 1 << envelope.JSON},
		{names: nil, err: "accept: empty list, want one or more of envelope, json, php, raw"},
		{names: []string{"JSON"}, err: `unknown kind "JSON"`},
		{names: []string{"raw", "raw"}, err: `"raw" given twice`},
	} {
		got, err := envelope.ParseAccept(tc.names)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("ParseAccept(%q): error %v, want %q in it", tc.names, err, tc.err)
			}
			continue
		}
		if err != nil || got != tc.want {
			t.Errorf("ParseAccept(%q) = %b, %v, want %b", tc.names, got, err, tc.want)
		}
		sorted := slices.Sorted(slices.Values(tc.names))
		if names := got.Names(); !slices.Equal(names, sorted) {
			t.Errorf("Names() = %q, want %q", names, sorted)
		}
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[envelope.Kind]string{
		envelope.Raw: "raw", envelope.Envelope: "envelope", envelope.JSON: "json",
		envelope.PHP: "php", 0: "envelope.Kind(0)", 9: "envelope.Kind(9)",
	} {
		if got := k.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", uint8(k), got, want)
		}
	}
}
