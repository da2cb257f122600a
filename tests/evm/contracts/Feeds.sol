// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

/// A price aggregator with the events and answers of a push feed; anybody may publish.
contract Aggregator {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event NewRound(uint256 indexed roundId, address indexed startedBy, uint256 startedAt);

    uint8 public constant decimals = 8;
    uint80 public latestRound;
    int256 public latestAnswer;
    uint256 public latestTimestamp;

    function publish(int256 answer) external {
        latestRound += 1;
        latestAnswer = answer;
        latestTimestamp = block.timestamp;
        emit NewRound(latestRound, msg.sender, block.timestamp);
        emit AnswerUpdated(answer, latestRound, block.timestamp);
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (latestRound, latestAnswer, latestTimestamp, latestTimestamp, latestRound);
    }
}

/// The stable address in front of an aggregator; moving to another aggregator starts a new phase. As with the feeds in
/// use, the first aggregator is set without an event.
contract FeedProxy {
    event AggregatorConfirmed(address indexed previous, address indexed latest);

    uint16 public phaseId;
    mapping(uint16 => address) public phaseAggregators;

    constructor(address first) {
        phaseId = 1;
        phaseAggregators[1] = first;
    }

    function confirmAggregator(address next) external {
        address previous = aggregator();
        phaseId += 1;
        phaseAggregators[phaseId] = next;
        emit AggregatorConfirmed(previous, next);
    }

    function aggregator() public view returns (address) {
        return phaseAggregators[phaseId];
    }

    function decimals() external view returns (uint8) {
        return Aggregator(aggregator()).decimals();
    }

    function latestAnswer() external view returns (int256) {
        return Aggregator(aggregator()).latestAnswer();
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        (uint80 round, int256 answer, uint256 startedAt, uint256 updatedAt, ) =
            Aggregator(aggregator()).latestRoundData();
        uint80 phased = (uint80(phaseId) << 64) | round;
        return (phased, answer, startedAt, updatedAt, phased);
    }
}

/// Whether the sequencer is up (0) or down (1). A change of status starts a round; a repeated report only renews
/// updatedAt, so startedAt and updatedAt differ, as on OP-type chains.
contract UptimeFeed {
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);
    event NewRound(uint256 indexed roundId, address indexed startedBy, uint256 startedAt);
    event RoundUpdated(int256 status, uint64 updatedAt);

    uint80 private round;
    int256 private status;
    uint64 private startedAt;
    uint64 private updatedAt;

    constructor() {
        _start(0, uint64(block.timestamp));
    }

    function report(int256 newStatus, uint64 timestamp) external {
        if (newStatus != status) {
            _start(newStatus, timestamp);
        } else {
            updatedAt = uint64(block.timestamp);
            emit RoundUpdated(status, updatedAt);
        }
    }

    function latestAnswer() external view returns (int256) {
        return status;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (round, status, startedAt, updatedAt, round);
    }

    function _start(int256 newStatus, uint64 timestamp) private {
        round += 1;
        status = newStatus;
        startedAt = timestamp;
        updatedAt = uint64(block.timestamp);
        emit NewRound(round, msg.sender, timestamp);
        emit AnswerUpdated(newStatus, round, timestamp);
    }
}
