package spool

import "testing"

// TestMessageID holds the layout still: a destination that has seen an id must
// know it again after an upgrade.
func TestMessageID(t *testing.T) {
	for _, tt := range []struct {
		taken      int64
		epoch, seq uint64
		want       string
	}{
		{1_700_000_000_000_000_000, 0x3_8765_4321, 1, "018bcfe5-6800-7000-8000-000787654321"},
		{1_700_000_000_000_999_999, 1<<34 - 1, 1<<40 - 1, "018bcfe5-6800-7fff-bfff-ffffffffffff"},
		{1_700_000_000_001_000_000, 1<<64 - 1, 1<<40 + 5, "018bcfe5-6801-7000-8000-0017ffffffff"},
		{0, 0, 0, "00000000-0000-7000-8000-000000000000"},
		{2_000_000_000_000_000_000, 1, 0x12_3456_789a, "01d1a94a-2000-7123-9159-e26800000001"},
	} {
		var want UUID
		if err := want.UnmarshalText([]byte(tt.want)); err != nil {
			t.Fatal(err)
		}
		got := messageID(tt.taken, tt.epoch, tt.seq)
		for i, b := range want {
			if byte(got[i/8]>>(56-i%8*8)) != b {
				t.Errorf("%d, %#x, %#x: id %016x, want %s", tt.taken, tt.epoch, tt.seq, got, tt.want)
				break
			}
		}
		if want.String() != tt.want {
			t.Errorf("%s is written as %s", tt.want, want)
		}
	}
}
