package envelope_test

import (
	"slices"
	"testing"

	"github.com/mqdaemon/mqd/internal/envelope"
)

func TestAcceptNames(t *testing.T) {
	for accept, want := range map[envelope.Accept][]string{
		envelope.AcceptAll:                 {"envelope", "json", "php", "raw"},
		1 << envelope.Raw:                  {"raw"},
		1<<envelope.PHP | 1<<envelope.JSON: {"json", "php"},
	} {
		if names := accept.Names(); !slices.Equal(names, want) {
			t.Errorf("Names() = %q, want %q", names, want)
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
