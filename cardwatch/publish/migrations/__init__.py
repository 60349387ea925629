"""The migrations of the database: each module adds one expansion, and never takes anything away."""
