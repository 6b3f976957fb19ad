// Rules of the pages that need no page. Prints each rule that holds.

import assert from "node:assert/strict";
import { inTurn } from "../../bimip/web/static/dialogs.mjs";

const settled = () => new Promise(setImmediate);

const RULES = {
  async "what was read before is never drawn over what was read later"() {
    const drawn = [], reads = [];
    let now = 0;
    const draw = inTurn(async () => {
      const found = now;
      await new Promise((resolve) => reads.push(resolve));
      drawn.push(found);
    });
    const first = draw();
    now = 1;
    const second = draw(), third = draw();
    assert.equal(reads.length, 1);
    reads[0]();
    await settled();
    assert.deepEqual([drawn, reads.length], [[0], 2]);
    reads[1]();
    await Promise.all([first, second, third]);
    assert.deepEqual(drawn, [0, 1]);
    now = 2;
    draw();
    assert.equal(reads.length, 3);
  },

  async "a drawing that failed is told, and the next one draws"() {
    let count = 0;
    const draw = inTurn(async () => { if (!count++) throw new Error("no server"); });
    await assert.rejects(draw(), /no server/);
    await draw();
    assert.equal(count, 2);
  },
};

for (const [rule, holds] of Object.entries(RULES)) {
  try {
    await holds();
  } catch (error) {
    console.error(`does not hold: ${rule}`);
    throw error;
  }
  console.log(rule);
}
