// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.7.6;

import "@uniswap/v3-core/contracts/libraries/TickMath.sol";
import "@uniswap/v3-periphery/contracts/libraries/OracleLibrary.sol";

/// Lets a test ask Uniswap's libraries.
contract Means {
    function consult(address pool, uint32 ago) external view returns (int24 mean) {
        (mean, ) = OracleLibrary.consult(pool, ago);
    }

    function quote(int24 tick, uint128 amount, address base, address other) external pure returns (uint256) {
        return OracleLibrary.getQuoteAtTick(tick, amount, base, other);
    }

    function sqrtPrice(int24 tick) external pure returns (uint160) {
        return TickMath.getSqrtRatioAtTick(tick);
    }

    function tick(uint160 sqrtPrice96) external pure returns (int24) {
        return TickMath.getTickAtSqrtRatio(sqrtPrice96);
    }
}
