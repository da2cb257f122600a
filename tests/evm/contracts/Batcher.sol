// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

/// Several calls in one transaction, for flows that touch more than one account. Calls that fail are skipped unless
/// `strict`.
contract Batcher {
    function execute(address[] calldata targets, bytes[] calldata data, bool strict) external {
        for (uint256 i = 0; i < targets.length; i++) {
            (bool done, ) = targets[i].call(data[i]);
            require(done || !strict, "call failed");
        }
    }
}

interface IMintable {
    function mint(address to, uint256 value) external;
    function approve(address spender, uint256 value) external returns (bool);
}

/// Receives flash loans of mintable tokens and pays them back, premium included.
contract FlashReceiver {
    function executeOperation(
        address[] calldata assets,
        uint256[] calldata amounts,
        uint256[] calldata premiums,
        address,
        bytes calldata
    ) external returns (bool) {
        for (uint256 i = 0; i < assets.length; i++) _settle(assets[i], amounts[i], premiums[i]);
        return true;
    }

    function executeOperation(address asset, uint256 amount, uint256 premium, address, bytes calldata)
        external
        returns (bool)
    {
        _settle(asset, amount, premium);
        return true;
    }

    function _settle(address asset, uint256 amount, uint256 premium) private {
        IMintable(asset).mint(address(this), premium);
        IMintable(asset).approve(msg.sender, amount + premium);
    }
}
