// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.27;

interface IMintable {
    function mint(address to, uint256 value) external;
}

interface IConcentrated {
    function token0() external view returns (address);
    function token1() external view returns (address);
    function mint(address recipient, int24 lower, int24 upper, uint128 amount, bytes calldata data)
        external
        returns (uint256, uint256);
    function burn(int24 lower, int24 upper, uint128 amount) external returns (uint256, uint256);
    function collect(address recipient, int24 lower, int24 upper, uint128 most0, uint128 most1)
        external
        returns (uint128, uint128);
    function swap(address recipient, bool zeroForOne, int256 amount, uint160 limit, bytes calldata data)
        external
        returns (int256, int256);
    function flash(address recipient, uint256 amount0, uint256 amount1, bytes calldata data) external;
}

/// Trades with a pool of concentrated liquidity and pays with tokens that it makes.
contract Trader {
    function provide(IConcentrated pool, int24 lower, int24 upper, uint128 amount) external {
        pool.mint(address(this), lower, upper, amount, "");
    }

    function withdraw(IConcentrated pool, int24 lower, int24 upper, uint128 amount) external {
        pool.burn(lower, upper, amount);
        pool.collect(address(this), lower, upper, type(uint128).max, type(uint128).max);
    }

    function trade(IConcentrated pool, bool zeroForOne, int256 amount, uint160 limit) external {
        pool.swap(address(this), zeroForOne, amount, limit, "");
    }

    function borrow(IConcentrated pool, uint256 amount0, uint256 amount1) external {
        pool.flash(address(pool), amount0, amount1, "");
    }

    function uniswapV3MintCallback(uint256 owed0, uint256 owed1, bytes calldata) external {
        _pay(owed0, owed1);
    }

    function uniswapV3SwapCallback(int256 owed0, int256 owed1, bytes calldata) external {
        _pay(owed0 > 0 ? uint256(owed0) : 0, owed1 > 0 ? uint256(owed1) : 0);
    }

    function uniswapV3FlashCallback(uint256 fee0, uint256 fee1, bytes calldata) external {
        _pay(fee0, fee1);
    }

    function _pay(uint256 owed0, uint256 owed1) private {
        IConcentrated pool = IConcentrated(msg.sender);
        if (owed0 > 0) IMintable(pool.token0()).mint(msg.sender, owed0);
        if (owed1 > 0) IMintable(pool.token1()).mint(msg.sender, owed1);
    }
}
