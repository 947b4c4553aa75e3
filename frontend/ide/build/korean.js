// The workbench's texts in Korean. The language pack is published for an older version of the workbench, and both number their
// texts anew in each version: a text is found by its English, which the older version has beside its number.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../node_modules/@codingame', import.meta.url));
const pack = join(packages, 'monaco-vscode-language-pack-ko');
/** The version of the workbench that the pack was made for comes with it. */
const former = join(pack, 'node_modules/@codingame');

/** Of a hundred texts, how many have to be in Korean: fewer mean that the pack does not fit any more. */
const PERCENT_MIN = 70;
const NAME = 'virtual:workbench-korean';
/** `localize(11063, "Uploading")`, as the packages have it. */
const TEXT = /\blocalize2?\(\s*(\d+),\s*(["'`])((?:(?!\2)[^\\]|\\.)*)\2/g;

/** What stands between quotation marks, read as JSON, which has fewer escapes, one kind of marks, and no tabs. */
function read(inside) {
  const known = (pair, letter) => ('"\\/bfnrtu'.includes(letter) ? pair : letter);
  const escaped = inside.replace(/\\(.)|"/g, (pair, letter) => (letter === undefined ? '\\"' : known(pair, letter)));
  return JSON.parse(`"${escaped.replaceAll('\t', '\\t').replaceAll('\n', '\\n')}"`);
}

/** The English texts of a version by their number: those of every package in a folder that is part of it. */
function english(folder) {
  const texts = new Map();
  const parts = readdirSync(folder).map((name) => join(folder, name, 'vscode/src'));
  for (const source of parts.filter((path) => existsSync(path))) {
    for (const path of readdirSync(source, { recursive: true })) {
      if (!path.endsWith('.js')) continue;
      const code = readFileSync(join(source, path), 'utf8');
      for (const [, number, , text] of code.matchAll(TEXT)) texts.set(Number(number), read(text));
    }
  }
  return texts;
}

/** The Korean texts by the numbers of this version, and how many it has in all. */
export async function korean() {
  const { default: translated } = await import(join(pack, 'translations/main.i18n.json.js'));
  const byEnglish = new Map();
  for (const [number, text] of english(former)) {
    if (typeof translated[number] === 'string') byEnglish.set(text, translated[number]);
  }
  const now = english(packages);
  const texts = {};
  for (const [number, text] of now) if (byEnglish.has(text)) texts[number] = byEnglish.get(text);
  return { texts, all: now.size };
}

/** Gives them to the page as a module of its own, which only those fetch who read Korean. */
export function workbenchInKorean() {
  return {
    name: 'workbench-in-korean',
    resolveId: (id) => (id === NAME ? `\0${NAME}` : undefined),
    async load(id) {
      if (id !== `\0${NAME}`) return undefined;
      const { texts, all } = await korean();
      const count = Object.keys(texts).length;
      const percent = Math.floor((count / all) * 100);
      if (percent < PERCENT_MIN) this.error(`${count} of the workbench's ${all} texts are in Korean, fewer than ${PERCENT_MIN} %`);
      console.log(`workbench in Korean: ${count} of ${all} texts (${percent} %)`);
      return `export default JSON.parse(${JSON.stringify(JSON.stringify(texts))});`;
    },
  };
}
