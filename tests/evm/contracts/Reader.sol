// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

interface IPoolView {
    function getUserAccountData(address) external view returns (uint256, uint256, uint256, uint256, uint256, uint256);
    function getUserConfiguration(address) external view returns (uint256);
    function getUserEMode(address) external view returns (uint256);
}

interface IScaled {
    function scaledBalanceOf(address) external view returns (uint256);
}

/// Many answers of a pool and its tokens in one call. It is never deployed: its code is lent to an unused address for
/// the duration of an eth_call, so the chain under test stays as it is.
contract Reader {
    /// Per user: scaled balance of each token, configuration bits, e-mode, and the six numbers of account data.
    function users(IPoolView pool, address[] calldata accounts, IScaled[] calldata tokens)
        external
        view
        returns (uint256[] memory answers)
    {
        uint256 width = tokens.length + 8;
        answers = new uint256[](accounts.length * width);
        for (uint256 i = 0; i < accounts.length; i++) {
            uint256 at = i * width;
            for (uint256 j = 0; j < tokens.length; j++) answers[at++] = tokens[j].scaledBalanceOf(accounts[i]);
            answers[at++] = pool.getUserConfiguration(accounts[i]);
            answers[at++] = pool.getUserEMode(accounts[i]);
            (answers[at], answers[at + 1], answers[at + 2], answers[at + 3], answers[at + 4], answers[at + 5]) =
                pool.getUserAccountData(accounts[i]);
        }
    }

    /// Answers of arbitrary read-only calls, empty where a call reverts, and the timestamp they are given at.
    function many(address[] calldata targets, bytes[] calldata data)
        external
        view
        returns (uint256 timestamp, bytes[] memory answers)
    {
        timestamp = block.timestamp;
        answers = new bytes[](targets.length);
        for (uint256 i = 0; i < targets.length; i++) {
            (bool done, bytes memory answer) = targets[i].staticcall(data[i]);
            if (done) answers[i] = answer;
        }
    }
}
