// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

interface IMint {
    function mint(address to, uint256 value) external;
}

/// An account that does several things in one transaction, by itself or in the middle of a flash loan; what reverts
/// reverts it all, with the reason it had.
contract Errand {
    function perform(address[] memory targets, bytes[] memory data) public {
        for (uint256 i = 0; i < targets.length; i++) {
            (bool done, bytes memory answer) = targets[i].call(data[i]);
            if (!done) {
                assembly {
                    revert(add(answer, 32), mload(answer))
                }
            }
        }
    }

    function executeOperation(
        address[] calldata assets,
        uint256[] calldata,
        uint256[] calldata premiums,
        address,
        bytes calldata errands
    ) external returns (bool) {
        _follow(errands);
        for (uint256 i = 0; i < assets.length; i++) IMint(assets[i]).mint(address(this), premiums[i]);
        return true;
    }

    function executeOperation(address asset, uint256, uint256 premium, address, bytes calldata errands)
        external
        returns (bool)
    {
        _follow(errands);
        IMint(asset).mint(address(this), premium);
        return true;
    }

    function _follow(bytes calldata errands) private {
        (address[] memory targets, bytes[] memory data) = abi.decode(errands, (address[], bytes[]));
        perform(targets, data);
    }
}
