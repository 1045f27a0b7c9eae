#!/usr/bin/env node
import { runCli } from './command-line.ts';

await runCli(process.argv);
