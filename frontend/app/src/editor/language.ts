// The language of a file, fetched when the first file of it is opened.

import type { LanguageSupport } from '@codemirror/language';

type Load = () => Promise<LanguageSupport>;

const javascript = async () => (await import('@codemirror/lang-javascript')).javascript({ jsx: true });
const typescript = async () => (await import('@codemirror/lang-javascript')).javascript({ jsx: true, typescript: true });
const html = async () => (await import('@codemirror/lang-html')).html();
const yaml = async () => (await import('@codemirror/lang-yaml')).yaml();

const BY_EXTENSION: Record<string, Load> = {
  js: javascript,
  mjs: javascript,
  cjs: javascript,
  jsx: javascript,
  ts: typescript,
  tsx: typescript,
  html,
  htm: html,
  yaml,
  yml: yaml,
  py: async () => (await import('@codemirror/lang-python')).python(),
  json: async () => (await import('@codemirror/lang-json')).json(),
  css: async () => (await import('@codemirror/lang-css')).css(),
  md: async () => (await import('@codemirror/lang-markdown')).markdown(),
};

export async function languageOf(path: string): Promise<LanguageSupport | undefined> {
  const extension = path.slice(path.lastIndexOf('.') + 1).toLowerCase();
  return BY_EXTENSION[extension]?.();
}
