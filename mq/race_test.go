//go:build race

package mq_test

// raceDetector is on: sync.Pool then drops at random what it is given.
const raceDetector = true
