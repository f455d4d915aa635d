import { expect, test } from 'vitest'
import { folded, meant } from './specs'

test('a spec is compared without blanks, width, case and the order of its pairs', () => {
  expect(folded(' 尺码：XL ；颜色: 红;; ')).toBe(folded('颜色:红;尺码:xl'))
})

test('a value alone is taken for the one property of the item that has it', () => {
  const specs = ['时长:月卡', '时长:年卡']
  expect(['月卡', '时长：月卡', '季卡', '时长:季卡'].map((one) => meant(one, specs))).toEqual([
    '时长:月卡',
    '时长:月卡',
    undefined,
    undefined,
  ])
  expect(meant('月卡', ['时长:月卡', '版本:月卡'])).toBeUndefined()
  expect(meant('标准;月卡', ['时长:月卡;版本:标准'])).toBe('时长:月卡;版本:标准')
  expect(meant('月卡', ['时长:月卡;版本:标准'])).toBeUndefined()
  expect(meant('12:00', ['时间:12:00'])).toBe('时间:12:00')
})
