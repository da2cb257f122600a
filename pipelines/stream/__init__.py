"""The market as a stream: a follower that puts the chain's head into Kafka, a sink that seals cells from there."""
