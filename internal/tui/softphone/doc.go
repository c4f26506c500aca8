// Package softphone is an agent's softphone on a terminal: it keeps a Session with
// the daemon open, shows what the daemon says of the agent, and carries out what
// the agent presses. The daemon decides everything; what is on the screen is never
// more than what it said last, and an offer is on it only while it is surely the
// agent's.
//
// The line talks to the daemon; the Phone knows how things stand, without I/O and
// with the time as an argument; the model puts both on a terminal. A softphone that
// answers by itself uses the same line and the same Phone, with or without a
// terminal.
package softphone
