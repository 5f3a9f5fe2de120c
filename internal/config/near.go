package config

// nearest gives the candidate that key was probably meant to be: at most two
// letters away, and at least half of its letters right. Empty: none.
func nearest(key string, candidates []string) string {
	best, bestDistance := "", 3
	for _, c := range candidates {
		if len(key) > len(c)+2 {
			continue // too far, and a bound on the work for a very long key
		}
		if d := distance(key, c); d < bestDistance && 2*d <= max(len(key), len(c)) {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the bytes to insert, delete or replace to get from a to b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
