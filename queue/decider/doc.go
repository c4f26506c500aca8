// Package decider is what the engines have in common around the goroutine that
// alone touches the state machine: the mailbox that commands and questions wait in,
// the questions of the port that are asked of the machine, the agents as the last
// commit left them, the youngest events, and what becomes of a panic.
//
// What does not live here: the goroutine itself, which makes durable what was
// decided before it answers (queue/embedded, queue/redisq).
package decider
