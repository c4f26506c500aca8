// Package queuetest holds every engine to the same contract. What lives here:
//
//   - Run, the conformance suite for queue.Engine: one case for each sentence of
//     the port's comment and of each command's comment, on virtual time;
//   - Model, a second implementation of the rules that is slow and obvious:
//     slices, linear scans, everything recomputed when it is asked for;
//   - Memory, an engine without a store, over the state machine or the model:
//     what a test drives that needs an engine and no disk;
//   - Checker, the promises that must hold after every command, and Recount,
//     which rebuilds the counters from the event log alone;
//   - RandomSequence, commands that reach deep states, Pair, which gives them to
//     the machine and the model side by side, Store, which is told what a store
//     is told, and Shrink, which makes a failure short;
//   - Faulty, which loses commands and answers on their way;
//   - Script, the small language of testdata/*.txt, in which the acceptance
//     scenarios are written down: commands, "----", what must come of them.
//
// What does not live here: knowledge of any one engine. An engine's own tests
// import this package and hand it a Factory; nothing else imports it.
package queuetest
