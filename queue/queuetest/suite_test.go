package queuetest

import "testing"

// TestMemory holds the engine that tests use to the suite that engines must pass.
func TestMemory(t *testing.T) { Run(t, MemoryFactory) }
