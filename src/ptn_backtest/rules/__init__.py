"""The network's rules, as pure functions: (ledgers, positions, rules, time) in, values out."""
