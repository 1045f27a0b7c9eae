/**
 * Writes dist/commonjs from dist/framework, for programs that cannot load ES modules, such as tests under jest.
 * Node.js itself loads the ES modules, also by `require`, so that a program never holds both.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { transformSync } from '@swc/core';

const FROM = 'dist/framework';
const TO = 'dist/commonjs';
const NO_PART = /\.(test|fixture)\.|(^|\/)(cli|healthcheck)\.js$/;

const OPTIONS = {
  jsc: { parser: { syntax: 'ecmascript' }, target: 'es2022' },
  module: { type: 'commonjs' },
};

rmSync(TO, { recursive: true, force: true });
for (const path of readdirSync(FROM, { recursive: true })) {
  if (NO_PART.test(path) || !/\.(js|d\.ts)$/.test(path)) continue;
  const target = join(TO, path);
  mkdirSync(dirname(target), { recursive: true });
  const text = readFileSync(join(FROM, path), 'utf8');
  const code = path.endsWith('.js') ? transformSync(text, OPTIONS).code : text;
  // What would be mapped are the ES modules, which lie beside it with their maps.
  writeFileSync(target, code.replace(/^\/\/# sourceMappingURL=.*\n?/m, ''));
}
writeFileSync(join(TO, 'package.json'), '{ "type": "commonjs" }\n');
// What a local cluster starts as processes of its own: they are no part of the caller's program.
writeFileSync(join(TO, 'node/cli.js'), "import('../../framework/node/cli.js');\n");
